/** The refusals that a page has words for, in both languages. */
export type RefusalStatus = 400 | 401 | 403 | 404 | 409 | 413 | 429

/**
 * Ends a request of /ops: what was asked for is not there or not allowed, or what was entered is wrong.
 *
 * @param detail for the person who asked: what exactly, and what to do
 */
export const refuse = (status: RefusalStatus, detail = ''): never => {
  throw Object.assign(new Error(detail || `refused with ${status}`), { status, detail })
}
