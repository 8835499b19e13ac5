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
export const rejected = (why: string, message: string, field: string | null = null): UserError =>
  Object.assign(new Error(message), { mistake: 'refused' as const, why, field })

export const isUserError = (error: unknown): error is UserError =>
  error instanceof Error && 'mistake' in error
