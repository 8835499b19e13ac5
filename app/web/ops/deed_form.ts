import { isUserError } from '../../errors.ts'
import { html, type Html } from './html.ts'
import type { Form, Visit } from './page.ts'
import { refuse } from './refuse.ts'
import { backOf } from './sign_in.ts'

type Button = {
  /** Where it is posted to. */
  path: string
  label: string
  /** What else the form carries. */
  fields?: Record<string, string> | undefined
  /** Said to whoever hears only the button: which row it belongs to. */
  about?: string | null
}

/** A button that does something, in a form of its own. It leads back to the page on which it stands. */
export const deedForm = (
  visit: Visit,
  { path, label, fields = {}, about }: Button,
  inside: Html | null = null,
): Html =>
  html`<form class="row" method="post" action="${path}">
    <input type="hidden" name="form" value="${visit.formToken}" />
    <input type="hidden" name="back" value="${visit.here}" />
    ${Object.entries(fields).map(
      ([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`,
    )}
    ${inside}
    <button ${about && html`aria-label="${label}: ${about}"`}>${label}</button>
  </form>`

/** The same for what cannot be undone: first opened, then read, then done. `id` keeps it open while the page renews. */
export const carefulForm = (
  visit: Visit,
  { id, open, warning, ...button }: Button & { id: string; open: string; warning: string },
): Html =>
  html`<details id="${id}">
    <summary>${open}</summary>
    <p>${warning}</p>
    ${deedForm(visit, button)}
  </details>`

/** The page from which a form was sent. */
export const whence = (form: Form): string => backOf(form['back'])

/**
 * Does it; what a rule refuses is told in the visitor's language.
 *
 * @param words what to say, by `Mistake.why`
 */
export const orSayWhyNot = async <Done>(
  words: Record<string, string>,
  act: () => Promise<Done>,
): Promise<Done> => {
  try {
    return await act()
  } catch (error) {
    if (!isUserError(error)) throw error
    return refuse(error.mistake === 'not_found' ? 404 : 409, words[error.why] ?? '')
  }
}
