/** A request of a person that cannot be fulfilled. Any other error is a fault of the program. */
export type UserError = Error & {
  userError: 'not_found' | 'refused'
  /** A code, for which the pages have their own texts. */
  why: string
  /** The wrong field, by its name in the schema; null = no particular field. */
  field: string | null
}

/** @param what such as `tenant 7`. Also for a row of another tenant: the two cases must look the same. */
export const notFound = (what: string): UserError =>
  Object.assign(new Error(`there is no ${what}`), {
    userError: 'not_found' as const,
    why: 'not_found',
    field: null,
  })

/** @param message the reason, and what to do instead */
export const userError = (why: string, message: string, field: string | null = null): UserError =>
  Object.assign(new Error(message), { userError: 'refused' as const, why, field })

export const isUserError = (error: unknown): error is UserError =>
  error instanceof Error && 'userError' in error

/** An error that ends the start. Its message says what to do, so it has no stack. */
export const startupError = (message: string, options?: { cause: unknown }): Error => {
  const error = new Error(message, options)
  delete error.stack
  return error
}

export const isStartupError = (error: unknown): error is Error =>
  error instanceof Error && error.stack === undefined

/**
 * A delivery with a token is answered within ten seconds: 2.5 s to look up a token that is not cached, 7 s to store. The
 * timeouts of single queries could add up to more, for example with retries after conflicts.
 */
export const TOKEN_TIMEOUT_MS = 2500
export const STORE_TIMEOUT_MS = 7000

/**
 * @throws Error with status 503 after this time. The work may still complete later, so a repetition must be harmless.
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
