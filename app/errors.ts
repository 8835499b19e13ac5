/** What somebody asked for by hand and cannot have, told apart from what has gone wrong in the program. */
export type UserError = Error & {
  mistake: 'not_found' | 'refused'
  /** In a word, for whoever has other words for it. */
  why: string
  /** Which part of the wish is wrong, by its name in the schema; null = none in particular. */
  field: string | null
}

/** @param what `tenant 7`; also of a thing that is another business's, which must not be told apart */
export const notFound = (what: string): UserError =>
  Object.assign(new Error(`there is no ${what}`), {
    mistake: 'not_found' as const,
    why: 'not_found',
    field: null,
  })

/** @param message says what is in the way, and what to do instead */
export const userError = (why: string, message: string, field: string | null = null): UserError =>
  Object.assign(new Error(message), { mistake: 'refused' as const, why, field })

export const isUserError = (error: unknown): error is UserError =>
  error instanceof Error && 'mistake' in error

/** What ends a start and says itself what to do. Where in the program it was noticed would help nobody. */
export const startupError = (message: string): Error => {
  const error = new Error(message)
  delete error.stack
  return error
}

export const isStartupError = (error: unknown): error is Error =>
  error instanceof Error && error.stack === undefined

/**
 * Whoever shows a token hears within ten seconds what became of a delivery that has arrived, whatever the
 * database does: two and a half to look a token up that is not known yet, seven to store. Each try
 * has limits of its own, and they would add up (a silent server, tries that collide).
 */
export const TOKEN_TIMEOUT_MS = 2500
export const STORE_TIMEOUT_MS = 7000

/**
 * @throws Error with status 503 when the work is not done by then. It may be done all the same a moment
 * later, so a repeat must be harmless.
 */
export const withTimeout = async <T>(ms: number, work: Promise<T>): Promise<T> => {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => late.reject(Object.assign(new Error(`not done within ${ms} ms`), { status: 503 })),
    ms,
  )
  try {
    return await Promise.race([work, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
