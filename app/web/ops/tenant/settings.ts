/** The settings of a business: one form. */
import {
  readSettings,
  settingsChange as schema,
  setTenant,
  type Interval,
  INTERVALS,
} from '../../../tenants/settings.ts'
import { KNOWN_STATUSES } from '../../../voicenter/classify.ts'
import { formatSpan, formatWindow, parseSpan, parseWindow } from '../format.ts'
import {
  checkbox,
  fieldProblem,
  formAlert,
  formLines,
  formValue,
  formValues,
  input,
  textArea,
} from '../forms.ts'
import { html, type Html } from '../html.ts'
import { settingsTexts } from '../locales/settings.ts'
import { whyTexts } from '../locales/why.ts'
import type { Form } from '../page.ts'
import { failedForm, type Section, sectionForm, type View } from './section.ts'

/** The form shows these quiet windows as checkboxes. They are stored like any other window. */
const COMMON_WINDOWS = { nights: '21:00-08:00', shabbat: 'fri 15:00-sat 20:30' } as const
const isCommon = (window: string): boolean => Object.values<string>(COMMON_WINDOWS).includes(window)

const INTERVAL_NAMES: Interval[] = [
  'outreachDelay',
  'reminder1After',
  'reminder2After',
  'unresponsiveAfter',
  'repeatWindow',
  'oldestCall',
  'grace',
  'reminderGrace',
]

const aboutCard = (view: View): Html => {
  const texts = settingsTexts[view.context.language]
  const { name, ownerPhone, timezone } = view.tenant
  const failed = failedForm(view, 'save')
  return html`<fieldset class="card">
    <legend>${texts.about}</legend>
    ${input({ name: 'name', label: texts.name, help: texts.nameHelp, value: name, failed })}
    ${input({
      name: 'ownerPhone',
      label: texts.ownerPhone,
      help: texts.ownerPhoneHelp,
      kind: 'tel',
      direction: 'ltr',
      value: ownerPhone,
      failed,
    })}
    ${input({
      name: 'timezone',
      label: texts.timezone,
      help: texts.timezoneHelp,
      direction: 'ltr',
      value: timezone,
      failed,
    })}
  </fieldset>`
}

const whenCard = (view: View): Html => {
  const { language } = view.context
  const texts = settingsTexts[language]
  const failed = failedForm(view, 'save')
  return html`<fieldset class="card">
    <legend>${texts.when}</legend>
    <p class="quiet">${texts.whenHelp}</p>
    <div class="columns">
      ${INTERVAL_NAMES.map(name =>
        input({
          ...texts.spans[name],
          name,
          value: formatSpan(language, view.tenant[name]),
          failed,
        }),
      )}
    </div>
  </fieldset>`
}

const quietCard = (view: View): Html => {
  const texts = settingsTexts[view.context.language]
  const failed = failedForm(view, 'save')
  const chosen = failed ? formValues(failed.entered, 'commonWindows') : view.tenant.quietWindows
  const others = view.tenant.quietWindows.filter(window => !isCommon(window))
  return html`<fieldset class="card">
    <legend>${texts.quiet}</legend>
    <p class="quiet">${texts.quietHelp}</p>
    ${checkbox('commonWindows', COMMON_WINDOWS.nights, texts.nights, chosen.includes(COMMON_WINDOWS.nights))}
    ${checkbox('commonWindows', COMMON_WINDOWS.shabbat, texts.shabbat, chosen.includes(COMMON_WINDOWS.shabbat))}
    ${textArea({
      name: 'quietWindows',
      label: texts.quietOther,
      help: texts.quietOtherHelp,
      rows: 3,
      value: others.map(window => formatWindow(view.context.language, window)).join('\n'),
      failed,
    })}
  </fieldset>`
}

const whichCard = (view: View): Html => {
  const { context, tenant } = view
  const texts = settingsTexts[context.language]
  const statuses: Record<string, string> = whyTexts[context.language].statuses
  const failed = failedForm(view, 'save')
  const missed = failed ? formValues(failed.entered, 'missedStatuses') : tenant.missedStatuses
  const foreign = failed
    ? formValue(failed.entered, 'contactForeign') === 'yes'
    : tenant.contactForeign
  return html`<fieldset class="card">
    <legend>${texts.which}</legend>
    <h3 id="missed">${texts.missed}</h3>
    <p class="quiet">${texts.missedHelp}</p>
    <div class="ticks" role="group" aria-labelledby="missed">
      ${[...KNOWN_STATUSES].map(status =>
        checkbox(
          'missedStatuses',
          status,
          html`${statuses[status.toLowerCase()] ?? status} <small>${status}</small>`,
          missed.includes(status),
        ),
      )}
    </div>
    ${fieldProblem(failed, 'missedStatuses')}
    ${input({
      name: 'minRingSeconds',
      label: texts.minRing,
      help: texts.minRingHelp,
      direction: 'ltr',
      value: tenant.minRingSeconds,
      failed,
    })}
    ${checkbox('contactForeign', 'yes', texts.foreign, foreign)}
  </fieldset>`
}

const formSpans = (form: Form) =>
  Object.fromEntries(
    Object.keys(INTERVALS).map(name => {
      const entered = formValue(form, name)
      return [name, entered === undefined ? undefined : parseSpan(entered)]
    }),
  )

/** The order in these lists has no meaning. Keeping it prevents an entry in the audit log without a real change. */
const keepOrder = (before: string[], wanted: string[] | undefined): string[] | undefined => {
  const position = (one: string) => (before.includes(one) ? before.indexOf(one) : before.length)
  return wanted?.toSorted((one, other) => position(one) - position(other))
}

export const settings: Section = {
  show: view => {
    const texts = settingsTexts[view.context.language]
    return html`${formAlert(view.context.language, view.failed, 'save')}
    ${sectionForm(
      view,
      'settings',
      'save',
      html`${aboutCard(view)} ${whenCard(view)} ${quietCard(view)} ${whichCard(view)}
        <p class="save"><button class="main">${texts.save}</button></p>`,
    )}`
  },
  actions: {
    save: async ({ trx, context, tenantId, form }) => {
      const wanted = schema.parse({
        tenantId,
        name: formValue(form, 'name'),
        ownerPhone: formValue(form, 'ownerPhone')?.trim(),
        timezone: formValue(form, 'timezone'),
        ...formSpans(form),
        // The lines come first, so that the index of a problem is the number of the line.
        quietWindows: [
          ...formLines(form, 'quietWindows').map(parseWindow),
          ...formValues(form, 'commonWindows'),
        ],
        missedStatuses: formValues(form, 'missedStatuses'),
        minRingSeconds: formValue(form, 'minRingSeconds'),
        contactForeign: formValue(form, 'contactForeign') === 'yes',
      })
      const before = await readSettings(trx, tenantId)
      const { after } = await setTenant(trx, context.signIn, {
        ...wanted,
        quietWindows: keepOrder(before.quietWindows, wanted.quietWindows),
        missedStatuses: keepOrder(before.missedStatuses, wanted.missedStatuses),
      })
      const texts = settingsTexts[context.language]
      return { flash: Object.keys(after).length > 0 ? texts.saved : texts.unchanged }
    },
  },
}
