import { sql } from 'kysely'
import { z } from 'zod'
import type { Trx } from '../../db/kysely.ts'
import { isUserError } from '../../errors.ts'
import type { Language } from './language.ts'
import type { Page } from './layout.ts'
import type { Form, Outcome } from './page.ts'
import { mistakeWords } from './words/mistakes.ts'

/** What is wrong with a form, in the visitor's words, by field; '' = with all of it. */
export type Problems = Record<string, string>

const look = (words: Record<string, string>, name: string): string | undefined =>
  Object.hasOwn(words, name) ? words[name] : undefined

/** Null = nobody's mistake: the program's, or one that has a page of its own (there is no such thing). */
const problemsIn = (error: unknown, language: Language): Problems | null => {
  const { why, expected, each, line } = mistakeWords[language]
  if (isUserError(error))
    return error.mistake === 'refused'
      ? { [error.field ?? '']: look(why, error.why) ?? error.message }
      : null
  if (!(error instanceof z.ZodError)) return null
  return Object.fromEntries(
    error.issues.map(({ path, message }) => {
      const [field, index] = [String(path[0] ?? ''), path[1]]
      // Lines are counted by people from one.
      const ofLine = typeof index === 'number' && look(each, field)
      return [field, ofLine ? line(index + 1, ofLine) : (look(expected, field) ?? message)]
    }),
  )
}

/**
 * Does what a form asks for; where it cannot be done, nothing is, and the form is shown again.
 *
 * @param show the page again, with what is wrong beside the fields
 */
export const attempt = async (
  trx: Trx,
  language: Language,
  act: () => Promise<Outcome>,
  show: (problems: Problems) => Promise<Page>,
): Promise<Outcome> => {
  await sql`savepoint attempt`.execute(trx)
  try {
    return await act()
  } catch (error) {
    const problems = problemsIn(error, language)
    if (!problems) throw error
    // What was written before the mistake was found, and what it has locked.
    await sql`rollback to savepoint attempt`.execute(trx)
    return { ...(await show(problems)), status: 400 }
  }
}

/** What was entered in a form that could not be done. */
export type Refusal = {
  /** Which of the page's forms it was. */
  deed: string
  problems: Problems
  entered: Form
}

/** What stands in a form under this name, once; of a repeated one the last. */
export const text = (form: Form, name: string): string | undefined =>
  [form[name] ?? []].flat().at(-1)

/** Everything that stands in a form under this name. */
export const several = (form: Form, name: string): string[] => [form[name] ?? []].flat()

/** Lines of a text area, without the empty ones. */
export const lines = (form: Form, name: string): string[] =>
  (text(form, name) ?? '')
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '')
