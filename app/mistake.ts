/** What somebody asked for by hand and cannot have, told apart from what has gone wrong in the program. */
export type Mistake = Error & {
  mistake: 'not_found' | 'refused'
  /** In a word, for whoever has other words for it. */
  why: string
  /** Which part of the wish is wrong, by its name in the schema; null = none in particular. */
  field: string | null
}

/** @param what `tenant 7`; also of a thing that is another business's, which must not be told apart */
export const notFound = (what: string): Mistake =>
  Object.assign(new Error(`there is no ${what}`), {
    mistake: 'not_found' as const,
    why: 'not_found',
    field: null,
  })

/** @param message says what is in the way, and what to do instead */
export const refused = (why: string, message: string, field: string | null = null): Mistake =>
  Object.assign(new Error(message), { mistake: 'refused' as const, why, field })

export const isMistake = (error: unknown): error is Mistake =>
  error instanceof Error && 'mistake' in error
