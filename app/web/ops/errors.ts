/** Errors that end a request of /ops with an error page. */
import { z } from 'zod'
import { isUserError, type UserError } from '../../errors.ts'
import type { Language } from './language.ts'
import { formTexts } from './locales/forms.ts'

/** The statuses that layout.ts has a text for. Any other error is shown as 503. */
const STATUSES = [400, 401, 403, 404, 409, 413, 429] as const
export type AbortStatus = (typeof STATUSES)[number]

/** @param detail what exactly is wrong; shown to the visitor */
export const abort = (status: AbortStatus, detail = ''): never => {
  throw Object.assign(new Error(detail || `aborted with status ${status}`), { status, detail })
}

/**
 * Runs an action. A user error becomes a 404, or a 409 with a text in the visitor's language.
 *
 * @param texts by `UserError.why`
 */
export const orAbort = async <Done>(
  texts: Record<string, string>,
  act: () => Promise<Done>,
): Promise<Done> => {
  try {
    return await act()
  } catch (error) {
    if (!isUserError(error)) throw error
    return abort(error.userError === 'not_found' ? 404 : 409, texts[error.why] ?? '')
  }
}

const whyText = ({ why, message }: UserError, language: Language): string => {
  const texts: Record<string, string> = formTexts[language].why
  return Object.hasOwn(texts, why) ? (texts[why] ?? message) : message
}

/** For a parameter of the URL that is wrong and has no schema. */
export const wrongParam = (name: string): never => {
  throw new z.ZodError([{ code: 'custom', path: [name], message: 'wrong', input: undefined }])
}

/** What an error page may tell: only what concerns the visitor's own input. */
export const errorPageOf = (
  error: unknown,
  language: Language,
): { status: AbortStatus | 503; detail: string } => {
  if (isUserError(error))
    return error.userError === 'not_found'
      ? { status: 404, detail: '' }
      : { status: 400, detail: whyText(error, language) }
  if (error instanceof z.ZodError) {
    // The messages of a schema are English and for programs.
    const fields = new Set(error.issues.flatMap(({ path }) => String(path[0] ?? '') || []))
    const { wrongFields } = formTexts[language]
    return { status: 400, detail: fields.size > 0 ? wrongFields([...fields].join(', ')) : '' }
  }
  const { status, detail = '' }: { status?: unknown; detail?: unknown } = Object(error)
  const known = STATUSES.find(candidate => candidate === status)
  return { status: known ?? 503, detail: known && typeof detail === 'string' ? detail : '' }
}
