import type { Request } from 'express'

export const LANGUAGES = ['he', 'en'] as const
export type Language = (typeof LANGUAGES)[number]
export const LANGUAGE_COOKIE = 'ringback_language'

/** The same texts in both languages. A text that is missing in one language does not compile. */
export const translations = <Texts>(en: Texts, he: NoInfer<Texts>): Record<Language, Texts> => ({
  en,
  he,
})

export const readCookie = (req: Request, name: string): string | null => {
  for (const pair of (req.get('cookie') ?? '').split(';')) {
    const [key = '', value = ''] = pair.split(/=(.*)/s)
    if (key.trim() === name) return value.trim()
  }
  return null
}

const supported = (language: unknown): Language | null =>
  LANGUAGES.find(candidate => candidate === language) ?? null

/** The visitor's choice, or else the preference of their browser. */
export const languageOf = (req: Request): Language =>
  supported(readCookie(req, LANGUAGE_COOKIE)) ??
  supported(req.acceptsLanguages(...LANGUAGES)) ??
  'en'
