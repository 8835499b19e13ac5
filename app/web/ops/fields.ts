/** The fields of a form: each with its label, what it wants, and beside it what was wrong with it. */
import { html, type Html } from './html.ts'
import { type Refusal, text } from './attempt.ts'
import { mistakeWords } from './words/mistakes.ts'
import type { Language } from './language.ts'

type Field = {
  name: string
  label: string
  help?: string
  value?: string | number | null
  /** Of this very form: what was entered stands there again. */
  refusal?: Refusal | null
}

/** What is wrong with the field of this name. */
export const problem = (refusal: Refusal | null | undefined, name: string): Html | false => {
  const found = refusal?.problems[name]
  return found !== undefined && html`<small class="problem">⚠ ${found}</small>`
}

const wrong = ({ refusal, name }: Field) =>
  refusal?.problems[name] !== undefined && html`aria-invalid="true"`

const valueOf = ({ refusal, name, value }: Field) =>
  refusal ? (text(refusal.entered, name) ?? '') : (value ?? '')

const around = (field: Field, control: Html): Html =>
  html`<label
    >${field.label} ${field.help && html`<small>${field.help}</small>`}
    ${control}${problem(field.refusal, field.name)}</label
  >`

export const input = (
  field: Field & { kind?: 'text' | 'tel' | 'number'; direction?: 'ltr' | 'auto' },
): Html =>
  around(
    field,
    html`<input
      name="${field.name}"
      type="${field.kind ?? 'text'}"
      dir="${field.direction ?? 'auto'}"
      value="${valueOf(field)}"
      ${wrong(field)}
    />`,
  )

/** What is entered here is never shown again, not even to whoever has just entered it. */
export const secretInput = (field: Omit<Field, 'value'>): Html =>
  around(
    field,
    html`<input
      name="${field.name}"
      type="password"
      dir="ltr"
      autocomplete="new-password"
      ${wrong(field)}
    />`,
  )

export const textArea = (field: Field & { rows: number }): Html =>
  around(
    field,
    html`<textarea name="${field.name}" rows="${field.rows}" dir="ltr" ${wrong(field)}>
${valueOf(field)}</textarea>`,
  )

export const choice = (field: Field & { options: Record<string, string> }): Html =>
  around(
    field,
    html`<select name="${field.name}">
      ${Object.entries(field.options).map(
        ([value, label]) =>
          html`<option value="${value}" ${value === valueOf(field) && html`selected`}>
            ${label}
          </option>`,
      )}
    </select>`,
  )

export const tick = (name: string, value: string, label: string | Html, checked: boolean): Html =>
  html`<label class="tick"
    ><input type="checkbox" name="${name}" value="${value}" ${checked && html`checked`} />
    <span>${label}</span></label
  >`

/** Above a form that was refused, for whoever does not see the marks; with what is wrong with it as a whole. */
export const refused = (language: Language, refusal: Refusal | null, deed: string): Html | false =>
  refusal?.deed === deed &&
  html`<p role="alert">${refusal.problems[''] ?? mistakeWords[language].summary}</p>`

/** The same for a form that is only a button: there is no field beside which it could be told. */
export const whyNot = (refusal: Refusal | null, ...deeds: string[]): Html | false =>
  refusal !== null &&
  deeds.includes(refusal.deed) &&
  html`<p role="alert">${Object.values(refusal.problems).join(' ')}</p>`
