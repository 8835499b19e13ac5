/** Forms: their fields, their buttons, and what happens with wrong input. */
import { sql } from 'kysely'
import { z } from 'zod'
import type { Trx } from '../../db/kysely.ts'
import { isUserError } from '../../errors.ts'
import type { Context } from './access.ts'
import { abort } from './errors.ts'
import { html, type Html } from './html.ts'
import type { Language } from './language.ts'
import type { Page } from './layout.ts'
import { formTexts } from './locales/forms.ts'
import type { ActionResult } from './page.ts'
import { type Form, safePath, type SecretField } from './sign_in_form.ts'

/** The last value of a field. */
export const formValue = (form: Form, name: string): string | undefined =>
  [form[name] ?? []].flat().at(-1)

/** All values of a repeated field. */
export const formValues = (form: Form, name: string): string[] => [form[name] ?? []].flat()

/** The lines of a text area, without the empty ones. */
export const formLines = (form: Form, name: string): string[] =>
  (formValue(form, name) ?? '')
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '')

/** The page from which the form was sent. */
export const returnPath = (form: Form): string => safePath(form['back'])

/** An object: another person changed the field meanwhile, so the form says what is stored now as well. */
type Problem = string | { meanwhile: string }

/** The problems of a form, by field; '' = of the form as a whole. */
export type Problems = Record<string, Problem>

/** A form that was sent and is shown again, with its problems if it has any. */
export type FailedForm = {
  /** A page may have several forms. */
  action: string
  problems: Problems
  entered: Form
}

/** Fields of a form by name, as they are stored. */
type Fields = Record<string, unknown>

/** What another person changed while a form was open, by field. The form would undo it. */
class ChangedMeanwhile extends Error {
  readonly fields: string[]
  constructor(fields: string[]) {
    super(`changed meanwhile: ${fields.join(', ')}`)
    this.fields = fields
  }
}

const readShown = (form: Form): Fields => {
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(formValue(form, 'shown') ?? '{}'))
  } catch {
    return abort(400)
  }
}

/** Remembers in the form what it showed, for `changedHere`. After a failure it is what the form showed at first. */
export const shownInput = (stored: Fields, failed: FailedForm | null): Html => {
  const told = Object.keys(stored).filter(name => typeof failed?.problems[name] === 'object')
  const shown = failed
    ? {
        ...readShown(failed.entered),
        ...Object.fromEntries(told.map(name => [name, stored[name]])),
      }
    : stored
  return html`<input type="hidden" name="shown" value="${JSON.stringify(shown)}" />`
}

/**
 * The fields that this visitor changed. Only these may be saved: the others may be old, and saving them would undo what
 * another person saved since the form was shown.
 *
 * @param stored the fields as they are now, locked
 * @throws ChangedMeanwhile if another person changed one of these fields to something else
 */
export const changedHere = (form: Form, stored: Fields, wanted: Fields): string[] => {
  const shown: Fields = { ...stored, ...readShown(form) }
  const isSame = (one: unknown, other: unknown) => JSON.stringify(one) === JSON.stringify(other)
  const changed = Object.keys(wanted).filter(
    name => wanted[name] !== undefined && !isSame(wanted[name], shown[name]),
  )
  const clashing = changed.filter(
    name => !isSame(stored[name], shown[name]) && !isSame(stored[name], wanted[name]),
  )
  if (clashing.length > 0) throw new ChangedMeanwhile(clashing)
  return changed
}

/** These fields of an object. */
export const only = <Whole extends object>(
  whole: Whole,
  names: readonly string[],
): Partial<Whole> => {
  const part: Partial<Whole> = {}
  for (const name in whole) if (names.includes(name)) part[name] = whole[name]
  return part
}

const lookUp = (texts: Record<string, string>, key: string): string | undefined =>
  Object.hasOwn(texts, key) ? texts[key] : undefined

/** null = not an error in the input. */
const problemsOf = (error: unknown, language: Language): Problems | null => {
  const { why, expected, each, line, meanwhile } = formTexts[language]
  if (error instanceof ChangedMeanwhile)
    return Object.fromEntries(error.fields.map(field => [field, { meanwhile }]))
  if (isUserError(error))
    return error.userError === 'refused'
      ? { [error.field ?? '']: lookUp(why, error.why) ?? error.message }
      : null
  if (!(error instanceof z.ZodError)) return null
  return Object.fromEntries(
    error.issues.map(({ path, message }) => {
      const [field, index] = [String(path[0] ?? ''), path[1]]
      const ofLine = typeof index === 'number' && lookUp(each, field)
      return [field, ofLine ? line(index + 1, ofLine) : (lookUp(expected, field) ?? message)]
    }),
  )
}

/**
 * Runs the action of a form. After wrong input nothing is changed, and the form is shown again.
 *
 * @param show the page with the problems beside the fields
 */
export const handleForm = async (
  trx: Trx,
  language: Language,
  act: () => Promise<ActionResult>,
  show: (problems: Problems) => Promise<Page>,
): Promise<ActionResult> => {
  await sql`savepoint form`.execute(trx)
  try {
    return await act()
  } catch (error) {
    const problems = problemsOf(error, language)
    if (!problems) throw error
    await sql`rollback to savepoint form`.execute(trx)
    return { ...(await show(problems)), status: error instanceof ChangedMeanwhile ? 409 : 400 }
  }
}

type Field = {
  name: string
  label: string
  help?: string
  value?: string | number | null
  /** What is stored, if the value is only a part of it. */
  stored?: string
  /** If the form failed, its fields keep what was entered. */
  failed?: FailedForm | null
}

/** @param stored what is stored now, for a person to read */
export const fieldProblem = (
  failed: FailedForm | null | undefined,
  name: string,
  stored: string | number | null = null,
): Html | false => {
  const problem = failed?.problems[name]
  if (problem === undefined) return false
  const text =
    typeof problem === 'string' ? problem : html`${problem.meanwhile} <bdi>${stored || '—'}</bdi>`
  return html`<small class="problem" id="problem-${name}">⚠ ${text}</small>`
}

const invalidMark = ({ failed, name }: Field) =>
  failed?.problems[name] !== undefined &&
  html`aria-invalid="true" aria-describedby="problem-${name}"`

const fieldValue = ({ failed, name, value }: Field) =>
  failed ? (formValue(failed.entered, name) ?? '') : (value ?? '')

const labelled = (field: Field, control: Html): Html =>
  html`<label
    >${field.label} ${field.help && html`<small>${field.help}</small>`}
    ${control}${fieldProblem(field.failed, field.name, field.stored ?? field.value)}</label
  >`

export const input = (
  field: Field & {
    kind?: 'text' | 'tel' | 'number' | 'date'
    direction?: 'ltr' | 'auto'
    /** The keys that a phone shows, for a text that is mostly a number. */
    keyboard?: 'decimal' | 'numeric'
    /** What the browser offers. Other values can be entered as well. */
    suggestions?: readonly string[]
  },
): Html =>
  labelled(
    field,
    html`<input
        name="${field.name}"
        type="${field.kind ?? 'text'}"
        dir="${field.direction ?? 'auto'}"
        value="${fieldValue(field)}"
        ${field.keyboard && html`inputmode="${field.keyboard}"`}
        ${field.suggestions && html`list="${field.name}-list"`}
        ${invalidMark(field)}
      />${
        field.suggestions &&
        html`<datalist id="${field.name}-list">
          ${field.suggestions.map(one => html`<option value="${one}"></option>`)}
        </datalist>`
      }`,
  )

/** A secret is never shown again, not even after wrong input. */
export const secretInput = (field: Omit<Field, 'value'> & { name: SecretField }): Html =>
  labelled(
    field,
    html`<input
      name="${field.name}"
      type="password"
      dir="ltr"
      autocomplete="new-password"
      ${invalidMark(field)}
    />`,
  )

export const textArea = (field: Field & { rows: number; direction?: 'ltr' | 'auto' }): Html =>
  labelled(
    field,
    html`<textarea
      name="${field.name}"
      rows="${field.rows}"
      dir="${field.direction ?? 'ltr'}"
      ${invalidMark(field)}
    >
${fieldValue(field)}</textarea>`,
  )

export const select = (field: Field & { options: Record<string, string> }): Html =>
  labelled(
    field,
    html`<select name="${field.name}" ${invalidMark(field)}>
      ${Object.entries(field.options).map(
        ([value, label]) =>
          html`<option value="${value}" ${value === fieldValue(field) && html`selected`}>
            ${label}
          </option>`,
      )}
    </select>`,
  )

export const radio = (name: string, value: string, label: string, checked: boolean): Html =>
  html`<label class="tick"
    ><input type="radio" name="${name}" value="${value}" required ${checked && html`checked`} />
    <span>${label}</span></label
  >`

export const checkbox = (
  name: string,
  value: string,
  label: string | Html,
  checked: boolean,
): Html =>
  html`<label class="tick"
    ><input type="checkbox" name="${name}" value="${value}" ${checked && html`checked`} />
    <span>${label}</span></label
  >`

const textOf = (problem: Problem | undefined): string | undefined =>
  typeof problem === 'object' ? problem.meanwhile : problem

const hasProblems = ({ problems }: FailedForm): boolean => Object.keys(problems).length > 0

/** Above a form with fields that failed. */
export const formAlert = (
  language: Language,
  failed: FailedForm | null,
  action: string,
): Html | false =>
  failed?.action === action &&
  hasProblems(failed) &&
  html`<p role="alert">${textOf(failed.problems['']) ?? formTexts[language].summary}</p>`

/** The same for a form that is only a button: it has no field to show a problem beside. */
export const buttonAlert = (failed: FailedForm | null, ...actions: string[]): Html | false =>
  failed !== null &&
  actions.includes(failed.action) &&
  hasProblems(failed) &&
  html`<p role="alert">${Object.values(failed.problems).map(textOf).join(' ')}</p>`

type Button = {
  path: string
  label: string
  /** Hidden fields. */
  fields?: Record<string, string> | undefined
  /** What the button acts on, for screen readers. */
  about?: string | null
}

/** A button in a form of its own. */
export const actionForm = (
  context: Context,
  { path, label, fields = {}, about }: Button,
  content: Html | null = null,
): Html =>
  html`<form class="row" method="post" action="${path}">
    <input type="hidden" name="form" value="${context.formToken}" />
    <input type="hidden" name="back" value="${context.url}" />
    ${Object.entries(fields).map(
      ([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`,
    )}
    ${content}
    <button ${about && html`aria-label="${label}: ${about}"`}>${label}</button>
  </form>`

/** For an action that cannot be undone: it shows a warning first. An update of the page leaves it open. */
export const confirmForm = (
  context: Context,
  { id, open, warning, ...button }: Button & { id: string; open: string; warning: string },
): Html =>
  html`<details id="${id}">
    <summary>${open}</summary>
    <p>${warning}</p>
    ${actionForm(context, button)}
  </details>`
