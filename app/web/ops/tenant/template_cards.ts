/** The cards of the templates: each text as the customer sees it, and Meta's verdict on it. */
import type { TemplateInUse } from '../../../tenants/templates.ts'
import { ownTemplateNamed, OWN_BUTTONS, type OwnButton } from '../../../whatsapp/own_templates.ts'
import { filledText, type TemplateKind } from '../../../whatsapp/templates.ts'
import {
  actionForm,
  checkbox,
  confirmForm,
  type FailedForm,
  fieldProblem,
  formAlert,
  formValue,
  formValues,
  input,
  select,
  shownInput,
  textArea,
} from '../forms.ts'
import { html, type Html } from '../html.ts'
import { formTexts } from '../locales/forms.ts'
import { sampleValues, templateRejection, templateTexts } from '../locales/templates.ts'
import { pauseReason } from '../locales/whatsapp_errors.ts'
import { failedForm, sectionForm, tenantPath, type View } from './section.ts'

/** A form offers at least this many variables. No template of ours has more. */
const MIN_VARIABLES = 3

/** The hidden fields that name a template. */
export const scopeFields = ({
  kind,
  number,
  hours,
}: Pick<TemplateInUse, 'kind' | 'number' | 'hours'>): Record<string, string> => ({
  kind,
  number: number ?? '',
  hours: hours ?? '',
})

const idOf = ({ kind, number, hours }: TemplateInUse): string =>
  [kind, number, hours]
    .filter(part => part !== null)
    .join('-')
    .replace(/[^\w-]/g, '')

/** The message as it stands on the customer's phone. */
const preview = (template: TemplateInUse, businessName: string, unknown: string): Html => {
  const { body, language: lang, labels } = template
  const dir = lang === 'he' || lang === 'ar' ? 'rtl' : 'ltr'
  const values = sampleValues(lang, businessName)
  const variables = template.variables.split(',').map(variable => values[variable] ?? '')
  return html`<ul class="thread">
    <li class="out">
      ${
        body === null
          ? html`<p><i>${unknown}</i></p>`
          : html`<p lang="${lang}" dir="${dir}">${filledText(body, variables)}</p>`
      }
      ${labels.map(label => html`<small class="reply-button" dir="auto">${label}</small>`)}
    </li>
  </ul>`
}

type Verdict = { badge: string; look: 'good' | 'warn' | 'bad' | ''; why: string; whatNow: string }

/** Meta's verdict in words, and the remedy. */
const verdictOf = (template: TemplateInUse, view: View): Verdict => {
  const { submitError, metaStatus } = template
  const verdict = stateOf(template, view)
  if (submitError === null || metaStatus === 'APPROVED') return verdict
  const texts = templateTexts[view.context.language]
  return { ...verdict, look: 'bad', why: texts.notTaken(submitError), whatNow: texts.changeIt }
}

const stateOf = (template: TemplateInUse, { context: { language } }: View): Verdict => {
  const texts = templateTexts[language]
  const { states } = texts
  const { state, reason, metaStatus, metaReason, isHeld, differs } = template
  const advice = (of: string) => pauseReason(language, of)
  if (state === 'paused') {
    const { why, whatNow } = advice(reason)
    const because =
      metaReason !== null && reason === 'template REJECTED'
        ? ` (${templateRejection(language, metaReason)})`
        : ''
    const [badge, look] =
      reason === 'template PENDING' || reason === 'template IN_APPEAL'
        ? ([states.review, 'warn'] as const)
        : reason === 'template MISSING'
          ? ([states.missing, 'bad'] as const)
          : reason === 'template REJECTED'
            ? ([states.rejected, 'bad'] as const)
            : ([states.paused, 'bad'] as const)
    const means = look === 'warn' ? '' : `${texts.pausedMeans} `
    const explained = because === '' ? why : why.replace(/\.$/, `${because}.`)
    return { badge, look, why: `${means}${explained}`, whatNow }
  }
  if (isHeld) return { badge: states.held, look: 'warn', ...advice('template MARKETING') }
  if (differs.length > 0)
    return { badge: states.differs, look: 'warn', ...advice('template DIFFERS') }
  if (metaStatus === 'APPROVED')
    return { badge: states.approved, look: 'good', why: '', whatNow: '' }
  return { badge: states.active, look: '', why: texts.notAsked, whatNow: '' }
}

/** Of the forms of all cards, only the one that was sent failed. */
const failedOf = (view: View, action: string, template: TemplateInUse): FailedForm | null => {
  const failed = failedForm(view, action)
  const isIts =
    failed &&
    Object.entries(scopeFields(template)).every(
      ([name, value]) => (formValue(failed.entered, name) ?? '') === value,
    )
  if (!isIts) return null
  return aboutTemplate(failed, view)
}

/** The text for a wrong `name` is about names of tenants. */
const aboutTemplate = (failed: FailedForm, { context: { language } }: View): FailedForm => {
  const { name, template } = formTexts[language].expected
  const isName = failed.problems['name'] === name
  return isName ? { ...failed, problems: { ...failed.problems, name: template } } : failed
}

const hiddenScope = (template: TemplateInUse): Html[] =>
  Object.entries(scopeFields(template)).map(
    ([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`,
  )

export const isOwnButton = (button: string): button is OwnButton =>
  OWN_BUTTONS.some(one => one === button)

/** What the form of a template shows and changes. A text of Ringback's own is not shown, because it is in the program. */
export const templateFields = ({
  kind,
  name,
  language,
  variables,
  body,
  buttons,
}: TemplateInUse) => ({
  name,
  language,
  variables: variables.split(',').filter(Boolean),
  body: ownTemplateNamed(kind, name, language) ? '' : (body ?? ''),
  buttons: buttons.filter(isOwnButton),
})

const buttonBoxes = (view: View, chosen: readonly string[]): Html => {
  const texts = templateTexts[view.context.language]
  return html`<div role="group" aria-label="${texts.buttons}">
    <p>${texts.buttons}</p>
    ${OWN_BUTTONS.map(button =>
      checkbox('button', button, texts.buttonNames[button], chosen.includes(button)),
    )}
  </div>`
}

const nameAndBody = (
  view: View,
  failed: FailedForm | null,
  { name = null, body = null }: { name?: string | null; body?: string | null } = {},
): Html => {
  const texts = templateTexts[view.context.language]
  return html`${input({
    name: 'name',
    label: texts.name,
    help: texts.nameHelp,
    direction: 'ltr',
    value: name,
    failed,
  })}
  ${textArea({
    name: 'body',
    label: texts.body,
    help: texts.bodyHelp,
    rows: 4,
    direction: 'auto',
    value: body,
    failed,
  })}`
}

const changeForm = (view: View, template: TemplateInUse): Html => {
  const texts = templateTexts[view.context.language]
  const failed = failedOf(view, 'save', template)
  const stored = templateFields(template)
  const variables = failed ? formValues(failed.entered, 'variable') : stored.variables
  const places = Array.from(
    { length: Math.max(MIN_VARIABLES, variables.length) },
    (_, place) => place,
  )
  const variableNames: Record<string, string> = texts.variables
  const storedVariables = stored.variables.map(one => variableNames[one] ?? one)
  const options = { '': texts.nothing, ...texts.variables }
  const buttons = failed ? formValues(failed.entered, 'button') : template.buttons
  return html`<details id="template-${idOf(template)}" ${failed && html`open`}>
    <summary>${texts.change}</summary>
    ${failed && formAlert(view.context.language, failed, 'save')}
    ${sectionForm(
      view,
      'templates',
      'save',
      html`${hiddenScope(template)}
        ${template.kind !== 'owner_notice' && buttonBoxes(view, buttons)}
        ${fieldProblem(failed, 'buttons', stored.buttons.map(one => texts.buttonNames[one]).join(', '))}
        ${nameAndBody(view, failed, stored)}
        ${input({
          name: 'language',
          label: texts.language,
          direction: 'ltr',
          value: template.language,
          failed,
        })}
        ${places.map(place =>
          select({
            name: 'variable',
            label: texts.variable(place + 1),
            value: variables[place] ?? '',
            options,
          }),
        )}
        ${fieldProblem(failed, 'variables', storedVariables.join(', '))}
        <button class="main">${texts.save}</button>`,
      shownInput(stored, failed),
    )}
  </details>`
}

const resubmitForm = (view: View, template: TemplateInUse): Html | false => {
  const texts = templateTexts[view.context.language]
  const failed = failedOf(view, 'resubmit', template)
  const isUseful =
    ['REJECTED', 'PAUSED'].includes(template.metaStatus ?? '') ||
    template.isHeld ||
    template.differs.includes('body')
  if (template.metaId === null || (!isUseful && !failed)) return false
  const own = ownTemplateNamed(template.kind, template.name, template.language)
  return html`<details id="resubmit-${idOf(template)}" ${failed && html`open`}>
    <summary>${texts.resubmit}</summary>
    ${failed && formAlert(view.context.language, failed, 'resubmit')}
    ${sectionForm(
      view,
      'templates',
      'resubmit',
      html`${hiddenScope(template)}
        ${textArea({
          name: 'body',
          label: texts.body,
          help: texts.resubmitHelp,
          rows: 5,
          direction: 'auto',
          value: own?.text ?? template.body,
          failed,
        })} <button class="main">${texts.resubmitYes}</button>`,
    )}
  </details>`
}

/** Only Meta can end such a pause, so no button is offered. */
const ENDED_BY_META = ['PENDING', 'IN_APPEAL', 'MISSING', 'REJECTED']

const isDefault = ({ kind, name, language, variables, id }: TemplateInUse): boolean => {
  const own = ownTemplateNamed(kind, name, language)
  const isOurs = own?.buttons.length === 0 && own.variables.join(',') === variables
  return id === null || isOurs
}

export const templateCard = (view: View, template: TemplateInUse): Html => {
  const { context, tenant } = view
  const texts = templateTexts[context.language]
  const { kind, number, hours, state, isHeld, differs, reason } = template
  const isSpecial = number !== null || hours !== null
  const verdict = verdictOf(template, view)
  const path = (action: string) => tenantPath(tenant.tenantId, 'templates', action)
  const fields = scopeFields(template)
  const waits = ENDED_BY_META.some(status => reason === `template ${status}`)
  const resume =
    state === 'paused'
      ? waits
        ? null
        : texts.resume
      : isHeld
        ? texts.agree
        : differs.length > 0
          ? texts.agreeDiffers
          : null
  return html`<section class="card">
    <div class="row">
      <h2>${texts.kinds[kind]}</h2>
      <span class="badge ${verdict.look}">${verdict.badge}</span>
      <bdi class="quiet">${template.name} (${template.language})</bdi>
    </div>
    ${
      isSpecial &&
      html`<p class="quiet">
        ${texts.forCalls(number === null ? null : String(number), hours && texts.hours[hours])}
      </p>`
    }
    ${preview(template, tenant.name, texts.unknownText)}
    ${verdict.why !== '' && html`<p>${verdict.why} ${verdict.whatNow}</p>`}
    ${resume !== null && actionForm(context, { path: path('resume'), label: resume, fields })}
    ${resubmitForm(view, template)} ${changeForm(view, template)}
    ${
      isSpecial
        ? confirmForm(context, {
            id: `remove-${idOf(template)}`,
            open: texts.remove,
            warning: texts.removeMeans,
            path: path('usual'),
            label: texts.removeYes,
            fields,
          })
        : !isDefault(template) &&
          confirmForm(context, {
            id: `usual-${kind}`,
            open: texts.reset,
            warning: texts.resetMeans,
            path: path('usual'),
            label: texts.resetYes,
            fields,
          })
    }
  </section>`
}

const SPECIAL_KINDS = ['initial', 'reminder_1', 'reminder_2'] as const satisfies TemplateKind[]

/** A text for one number, or for open or closed hours. */
export const addCard = (view: View): Html => {
  const { context, tenant } = view
  const texts = templateTexts[context.language]
  const sent = failedForm(view, 'add')
  const failed = sent && aboutTemplate(sent, view)
  return html`<section class="card">
    <h2>${texts.special}</h2>
    <p class="quiet">${texts.specialHelp}</p>
    <details id="add-template" ${failed && html`open`}>
      <summary>${texts.add}</summary>
      ${formAlert(context.language, failed, 'add')}
      ${sectionForm(
        view,
        'templates',
        'add',
        html`${select({
            name: 'kind',
            label: texts.kind,
            value: 'initial',
            options: Object.fromEntries(SPECIAL_KINDS.map(kind => [kind, texts.kinds[kind]])),
            failed,
          })}
          ${select({
            name: 'number',
            label: texts.number,
            value: '',
            options: {
              '': texts.anyNumber,
              ...Object.fromEntries(tenant.numbers.map(({ phone }) => [phone, phone])),
            },
            failed,
          })}
          ${select({
            name: 'hours',
            label: texts.when,
            value: 'closed',
            options: { '': texts.anyHours, ...texts.hours },
            failed,
          })}
          ${buttonBoxes(view, failed ? formValues(failed.entered, 'button') : [])}
          ${nameAndBody(view, failed)} <button class="main">${texts.save}</button>`,
      )}
    </details>
  </section>`
}
