import type { Request } from 'express'

export const LANGUAGES = ['he', 'en'] as const
export type Language = (typeof LANGUAGES)[number]
export const LANGUAGE_COOKIE = 'ringback_language'

/** The same words in both languages: what is missing in one of them is an error of types. */
export const inBoth = <Words>(en: Words, he: NoInfer<Words>): Record<Language, Words> => ({
  en,
  he,
})

export const cookieOf = (req: Request, name: string): string | null => {
  for (const pair of (req.get('cookie') ?? '').split(';')) {
    const [key = '', value = ''] = pair.split(/=(.*)/s)
    if (key.trim() === name) return value.trim()
  }
  return null
}

const known = (language: unknown): Language | null =>
  LANGUAGES.find(candidate => candidate === language) ?? null

/** As chosen on the page, else as the browser prefers. */
export const languageOf = (req: Request): Language =>
  known(cookieOf(req, LANGUAGE_COOKIE)) ?? known(req.acceptsLanguages(...LANGUAGES)) ?? 'en'
