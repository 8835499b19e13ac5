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
