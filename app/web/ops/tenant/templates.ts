/** The WhatsApp template of each kind of message. */
import {
  templateChange,
  changeTemplate,
  TEMPLATE_KINDS,
  templatesOf,
} from '../../../tenants/templates.ts'
import { DEFAULT_TEMPLATES } from '../../../whatsapp/own_templates.ts'
import type { TemplateKind } from '../../../whatsapp/templates.ts'
import { abort } from '../errors.ts'
import {
  actionForm,
  buttonAlert,
  confirmForm,
  type FailedForm,
  formAlert,
  formValue,
  formValues,
  input,
  select,
} from '../forms.ts'
import { html, type Html } from '../html.ts'
import { translations } from '../language.ts'
import { formTexts } from '../locales/forms.ts'
import { pauseReason } from '../locales/whatsapp_errors.ts'
import type { Form } from '../sign_in_form.ts'
import { failedForm, type Section, sectionForm, tenantPath, type View } from './section.ts'

/** A form offers at least this many variables. No default template has more. */
const MIN_VARIABLES = 3

type Template = View['tenant']['templates'][number]

/** Each kind has a form, with the kind as a field. */
const failedTemplate = (view: View, kind: TemplateKind): FailedForm | null => {
  const failed = failedForm(view, 'save')
  if (!failed || formValue(failed.entered, 'kind') !== kind) return null
  // The text for `name` is about names of businesses.
  const { name, ...problems } = failed.problems
  const expected = formTexts[view.context.language].expected.template
  return { ...failed, problems: name === undefined ? problems : { ...problems, name: expected } }
}

const templateFields = (view: View, kind: TemplateKind, template: Template): Html => {
  const texts = templateTexts[view.context.language]
  const failed = failedTemplate(view, kind)
  const variables = failed
    ? formValues(failed.entered, 'variable')
    : template.variables.split(',').filter(Boolean)
  const places = Array.from(
    { length: Math.max(MIN_VARIABLES, variables.length) },
    (_, place) => place,
  )
  const options = { '': texts.nothing, ...texts.variables }
  return html`${failed && formAlert(view.context.language, failed, 'save')}
    <input type="hidden" name="kind" value="${kind}" />
    ${input({ name: 'name', label: texts.name, direction: 'ltr', value: template.name, failed })}
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
    <button class="main">${texts.save}</button>`
}

const isDefault = (
  kind: TemplateKind,
  { name, language, variables, state, isHeld }: Template,
): boolean => {
  const template = DEFAULT_TEMPLATES[kind]
  const isSame = name === template.name && language === template.language
  return isSame && variables === template.variables.join(',') && state === 'active' && !isHeld
}

const templateCard = (view: View, kind: TemplateKind): Html | false => {
  const { context, tenant } = view
  const texts = templateTexts[context.language]
  const templates = tenant.templates.filter(one => one.kind === kind)
  // A business may have several numbers, each with its templates. A paused one is more important.
  const template =
    templates.find(one => one.state === 'paused') ??
    templates.find(one => one.isHeld) ??
    templates[0]
  if (!template) return false
  const isPaused = template.state === 'paused'
  const isHeld = template.isHeld && !isPaused
  const pausing = pauseReason(context.language, isHeld ? 'template MARKETING' : template.reason)
  const path = (action: string) => tenantPath(tenant.tenantId, 'templates', action)
  return html`<section class="card">
    <div class="row">
      <h2>${texts.kinds[kind]}</h2>
      <span class="badge ${isPaused ? 'bad' : isHeld ? 'warn' : 'good'}"
        >${isPaused ? texts.states.paused : isHeld ? texts.states.held : texts.states.active}</span
      >
      <bdi class="quiet">${template.name}</bdi>
    </div>
    ${
      (isPaused || isHeld) &&
      html`<p>${isPaused && texts.pausedMeans} ${pausing.why} ${pausing.whatNow}</p>
        ${actionForm(context, { path: path('resume'), label: isHeld ? texts.agree : texts.resume, fields: { kind } })}`
    }
    <details id="template-${kind}" ${failedTemplate(view, kind) && html`open`}>
      <summary>${texts.change}</summary>
      ${sectionForm(view, 'templates', 'save', templateFields(view, kind, template))}
    </details>
    <details id="text-${kind}">
      <summary>${texts.defaultText}</summary>
      <p lang="he" dir="rtl">${DEFAULT_TEMPLATES[kind].text}</p>
    </details>
    ${
      !isDefault(kind, template) &&
      confirmForm(context, {
        id: `usual-${kind}`,
        open: texts.reset,
        warning: texts.resetMeans,
        path: path('usual'),
        label: texts.resetYes,
        fields: { kind },
      })
    }
  </section>`
}

const formKind = (form: Form): TemplateKind =>
  TEMPLATE_KINDS.find(kind => kind === formValue(form, 'kind')) ?? abort(400)

export const templates: Section = {
  show: view => {
    const texts = templateTexts[view.context.language]
    if (view.tenant.connections.length === 0)
      return html`${buttonAlert(view.failed, 'save', 'resume', 'usual')}
        <p class="empty">
          <a href="${tenantPath(view.tenant.tenantId, 'whatsapp')}">${texts.none}</a>
        </p>`
    return html`<p class="quiet">${texts.help}</p>
      <div class="columns">${TEMPLATE_KINDS.map(kind => templateCard(view, kind))}</div>`
  },
  actions: {
    save: async ({ trx, context, tenantId, form }) => {
      const kind = formKind(form)
      const wanted = templateChange.parse({
        tenantId,
        kind,
        name: formValue(form, 'name')?.trim(),
        language: formValue(form, 'language')?.trim(),
        variables: formValues(form, 'variable').filter(Boolean),
      })
      const texts = templateTexts[context.language]
      const known = (await templatesOf(trx, tenantId)).filter(one => one.kind === kind)
      const isSame = known.every(
        ({ name, language, variables }) =>
          name === wanted.name &&
          language === wanted.language &&
          variables === wanted.variables?.join(','),
      )
      // Saving resumes a paused template, so saving without a change must do nothing.
      if (known.length > 0 && isSame) return { flash: texts.unchanged }
      await changeTemplate(trx, context.signIn, { ...wanted, kind })
      return { flash: texts.saved }
    },
    resume: async ({ trx, context, tenantId, form }) => {
      const wanted = templateChange.parse({ tenantId, kind: formKind(form), resume: true })
      await changeTemplate(trx, context.signIn, { ...wanted, kind: formKind(form) })
      return { flash: templateTexts[context.language].resumed }
    },
    usual: async ({ trx, context, tenantId, form }) => {
      const wanted = templateChange.parse({ tenantId, kind: formKind(form), backToDefault: true })
      await changeTemplate(trx, context.signIn, { ...wanted, kind: formKind(form) })
      return { flash: templateTexts[context.language].resetDone }
    },
  },
}

export const templateTexts = translations(
  {
    help: 'Meta must approve a template for each kind of message, with this name and language. The settings apply to all WhatsApp numbers of the business.',
    none: 'Connect WhatsApp first.',
    kinds: {
      initial: 'First message',
      reminder_1: 'First reminder',
      reminder_2: 'Last reminder',
      owner_notice: 'Notice to the owner',
    },
    states: { active: 'in use', paused: 'paused', held: 'awaits consent' },
    name: 'Name of the template',
    language: 'Language',
    variable: (number: number) => `{{${number}}} stands for`,
    nothing: '– nothing –',
    variables: {
      business_name: 'the name of the business',
      caller_name: 'the customer’s name on WhatsApp',
      call_time: 'the time of the call',
      caller_phone: 'the customer’s number',
      what_happened: 'the reason for the notice',
    },
    defaultText: 'Default text, to submit to Meta',
    change: 'Change',
    save: 'Save',
    saved: 'Saved.',
    unchanged: 'No change.',
    pausedMeans: 'Messages of this kind are not sent.',
    resume: 'Resume',
    agree: 'Send it as marketing',
    resumed: 'The template is in use again.',
    reset: 'Reset to the default template…',
    resetMeans: 'The name, language and variables will be those of the default template.',
    resetYes: 'Reset to the default template',
    resetDone: 'The default template is in use.',
  },
  {
    help: 'לכל סוג הודעה דרושה תבנית ש־Meta אישרה, בשם ובשפה האלה. ההגדרות תקפות לכל מספרי ה־WhatsApp של העסק.',
    none: 'יש לחבר קודם WhatsApp.',
    kinds: {
      initial: 'הודעה ראשונה',
      reminder_1: 'תזכורת ראשונה',
      reminder_2: 'תזכורת אחרונה',
      owner_notice: 'עדכון לבעלי העסק',
    },
    states: { active: 'בשימוש', paused: 'מושהית', held: 'ממתינה לאישור' },
    name: 'שם התבנית',
    language: 'שפה',
    variable: number => `במקום {{${number}}} יבוא`,
    nothing: '– ללא –',
    variables: {
      business_name: 'שם העסק',
      caller_name: 'שם הלקוח ב־WhatsApp',
      call_time: 'שעת השיחה',
      caller_phone: 'מספר הלקוח',
      what_happened: 'נושא העדכון',
    },
    defaultText: 'נוסח ברירת המחדל, להגשה ל־Meta',
    change: 'שינוי',
    save: 'שמירה',
    saved: 'נשמר.',
    unchanged: 'אין שינוי.',
    pausedMeans: 'הודעות מהסוג הזה לא נשלחות.',
    resume: 'חידוש',
    agree: 'אישור שליחה כפרסומת',
    resumed: 'התבנית שוב בשימוש.',
    reset: 'חזרה לתבנית ברירת המחדל…',
    resetMeans: 'השם, השפה והמשתנים יהיו אלה של תבנית ברירת המחדל.',
    resetYes: 'חזרה לתבנית ברירת המחדל',
    resetDone: 'תבנית ברירת המחדל בשימוש.',
  },
)
