/** The settings of a tenant: one form. */
import type { z } from 'zod'
import { lockTenant } from '../../../db/locks.ts'
import { CALENDAR_WORDS, CITIES, CITY_NAMES, nextHolyWindow } from '../../../outreach/calendar.ts'
import {
  readSettings,
  settingsChange as schema,
  setTenant,
  type Interval,
  INTERVALS,
} from '../../../tenants/settings.ts'
import { KNOWN_STATUSES } from '../../../voicenter/classify.ts'
import { formatSpan, formatWindow, parseSpan, parseWindow, weekdayTime } from '../format.ts'
import {
  changedHere,
  checkbox,
  fieldProblem,
  formAlert,
  formLines,
  formValue,
  formValues,
  input,
  only,
  shownInput,
  textArea,
} from '../forms.ts'
import { html, type Html } from '../html.ts'
import type { Language } from '../language.ts'
import { settingsTexts } from '../locales/settings.ts'
import { whyTexts } from '../locales/why.ts'
import type { Form } from '../sign_in_form.ts'
import { failedForm, type Section, sectionForm, type View } from './section.ts'

/** The form shows these quiet windows as checkboxes. They are stored like any other window. */
const COMMON_WINDOWS = { shabbat: 'shabbat', holidays: 'holidays', nights: '21:00-08:00' } as const
const COMMON_NAMES = ['shabbat', 'holidays', 'nights'] as const
const isCommon = (window: string): boolean => Object.values<string>(COMMON_WINDOWS).includes(window)

/** The two lists of windows, with the name of their checkboxes. */
const WINDOW_FIELDS = {
  quietWindows: 'commonWindows',
  reminderQuietWindows: 'commonReminderWindows',
} as const
type WindowField = keyof typeof WINDOW_FIELDS

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

const windowName = ({ context: { language } }: View, window: string): string => {
  const common = COMMON_NAMES.find(name => COMMON_WINDOWS[name] === window)
  return common ? settingsTexts[language].commonWindows[common] : formatWindow(language, window)
}

const windowFields = (view: View, field: WindowField): Html => {
  const texts = settingsTexts[view.context.language]
  const failed = failedForm(view, 'save')
  const stored = view.tenant[field]
  const common = WINDOW_FIELDS[field]
  const chosen = failed ? formValues(failed.entered, common) : stored
  const others = stored.filter(window => !isCommon(window))
  return html`${COMMON_NAMES.map(name =>
    checkbox(
      common,
      COMMON_WINDOWS[name],
      texts.commonWindows[name],
      chosen.includes(COMMON_WINDOWS[name]),
    ),
  )}
  ${textArea({
    name: field,
    label: texts.quietOther,
    help: texts.quietOtherHelp,
    rows: 2,
    value: others.map(window => formatWindow(view.context.language, window)).join('\n'),
    stored: stored.map(window => windowName(view, window)).join(', '),
    failed,
  })}`
}

/** `Shabbat: Fri 16:07 to Sat 17:13`: the next window of these words, or the one that is now. */
export const nextWindow = (
  { context: { language }, tenant: { location, timezone } }: View,
  windows: readonly string[],
): string | null => {
  const now = new Date()
  const words = CALENDAR_WORDS.filter(word => windows.includes(word))
  const next = nextHolyWindow(now, words, location)
  if (!next) return null
  const texts = settingsTexts[language]
  const days = next.days.map(day => texts.holyDays[day])
  const [from, until] = [next.from, next.until].map(at => weekdayTime(at, now, language, timezone))
  return texts.nextWindow(
    new Intl.ListFormat(language).format(days),
    from ?? '',
    until ?? '',
    formatLocation(language, location),
  )
}

const cityNames = (language: Language): string[] =>
  CITY_NAMES.map(name => (language === 'he' ? CITIES[name].hebrew : name))

const formatLocation = (language: Language, location: string): string => {
  const city = CITY_NAMES.find(name => name === location)
  return city && language === 'he' ? CITIES[city].hebrew : location
}

const quietCard = (view: View): Html => {
  const { language } = view.context
  const texts = settingsTexts[language]
  const { quietWindows, reminderQuietWindows, location } = view.tenant
  const next = nextWindow(view, [...quietWindows, ...reminderQuietWindows])
  return html`<fieldset class="card">
    <legend>${texts.quiet}</legend>
    <p class="quiet">${texts.quietHelp}</p>
    <div class="columns">
      <div role="group" aria-labelledby="quiet-all">
        <h2 id="quiet-all">${texts.quietAll}</h2>
        ${windowFields(view, 'quietWindows')}
      </div>
      <div role="group" aria-labelledby="quiet-reminders">
        <h2 id="quiet-reminders">${texts.quietReminders}</h2>
        ${windowFields(view, 'reminderQuietWindows')}
      </div>
    </div>
    ${input({
      name: 'location',
      label: texts.location,
      help: texts.locationHelp,
      value: formatLocation(language, location),
      suggestions: cityNames(language),
      failed: failedForm(view, 'save'),
    })}
    ${next !== null && html`<p>${next}</p>`}
  </fieldset>`
}

/** The other statuses are folded: an owner rarely changes them. */
const COMMON_STATUSES = ['NOANSWER', 'ABANDONE', 'CANCEL', 'BUSY', 'TIMEOUT']

const whichCard = (view: View): Html => {
  const { context, tenant } = view
  const texts = settingsTexts[context.language]
  const statuses: Record<string, string> = whyTexts[context.language].statuses
  const failed = failedForm(view, 'save')
  const missed = failed ? formValues(failed.entered, 'missedStatuses') : tenant.missedStatuses
  const foreign = failed
    ? formValue(failed.entered, 'contactForeign') === 'yes'
    : tenant.contactForeign
  const lastLook = failed ? formValue(failed.entered, 'lastLook') === 'yes' : tenant.lastLook
  const rare = [...KNOWN_STATUSES].filter(status => !COMMON_STATUSES.includes(status))
  const statusBoxes = (shown: string[]) =>
    html`<div class="ticks">
      ${shown.map(status =>
        checkbox(
          'missedStatuses',
          status,
          html`${statuses[status.toLowerCase()] ?? status} <small>${status}</small>`,
          missed.includes(status),
        ),
      )}
    </div>`
  return html`<fieldset class="card">
    <legend>${texts.which}</legend>
    <h2 id="missed">${texts.missed}</h2>
    <p class="quiet">${texts.missedHelp}</p>
    <div role="group" aria-labelledby="missed">
      ${statusBoxes(COMMON_STATUSES)}
      <details id="more-statuses">
        <summary>
          ${texts.moreStatuses(rare.filter(one => missed.includes(one)).length, rare.length)}
        </summary>
        ${statusBoxes(rare)}
      </details>
    </div>
    ${fieldProblem(failed, 'missedStatuses', tenant.missedStatuses.join(', '))}
    ${input({
      name: 'minRingSeconds',
      label: texts.minRing,
      help: texts.minRingHelp,
      direction: 'ltr',
      keyboard: 'numeric',
      value: tenant.minRingSeconds,
      failed,
    })}
    ${input({
      name: 'holdoutPercent',
      label: texts.holdout,
      help: texts.holdoutHelp,
      direction: 'ltr',
      value: tenant.holdoutPercent,
      failed,
    })}
    ${checkbox('contactForeign', 'yes', texts.foreign, foreign)}
    ${checkbox('lastLook', 'yes', texts.lastLook, lastLook)}
  </fieldset>`
}

const formSpans = (form: Form) =>
  Object.fromEntries(
    Object.keys(INTERVALS).map(name => {
      const entered = formValue(form, name)
      return [name, entered === undefined ? undefined : parseSpan(entered)]
    }),
  )

/** What the form shows and changes. The order in the lists has no meaning. */
const fieldsOf = (settings: Omit<z.infer<typeof schema>, 'tenantId' | 'mode' | 'languages'>) => ({
  ...only(settings, ['name', 'ownerPhone', 'timezone', 'location', ...INTERVAL_NAMES]),
  ...only(settings, ['minRingSeconds', 'holdoutPercent', 'contactForeign', 'lastLook']),
  missedStatuses: settings.missedStatuses?.toSorted(),
  quietWindows: settings.quietWindows?.toSorted(),
  reminderQuietWindows: settings.reminderQuietWindows?.toSorted(),
})

/** The lines come first, so that the index of a problem is the number of the line. */
const formWindows = (form: Form, field: WindowField): string[] | undefined =>
  form[field] === undefined
    ? undefined
    : [...formLines(form, field).map(parseWindow), ...formValues(form, WINDOW_FIELDS[field])]

export const settings: Section = {
  show: async view => {
    const texts = settingsTexts[view.context.language]
    return html`${formAlert(view.context.language, view.failed, 'save')}
    ${sectionForm(
      view,
      'settings',
      'save',
      html`${aboutCard(view)} ${whenCard(view)} ${quietCard(view)} ${whichCard(view)}
        <p class="save"><button class="main">${texts.save}</button></p>`,
      shownInput(
        fieldsOf(await readSettings(view.trx, view.tenant.tenantId)),
        failedForm(view, 'save'),
      ),
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
        location: formValue(form, 'location'),
        quietWindows: formWindows(form, 'quietWindows'),
        reminderQuietWindows: formWindows(form, 'reminderQuietWindows'),
        missedStatuses: formValues(form, 'missedStatuses'),
        minRingSeconds: formValue(form, 'minRingSeconds'),
        holdoutPercent: formValue(form, 'holdoutPercent'),
        contactForeign: formValue(form, 'contactForeign') === 'yes',
        lastLook: formValue(form, 'lastLook') === 'yes',
      })
      await lockTenant(trx, tenantId)
      const changed = changedHere(
        form,
        fieldsOf(await readSettings(trx, tenantId)),
        fieldsOf(wanted),
      )
      // Saving another field must not count as a choice of quiet windows.
      const change = { tenantId, ...only(wanted, changed) }
      const { after } = await setTenant(trx, context.signIn, change)
      const texts = settingsTexts[context.language]
      return { flash: Object.keys(after).length > 0 ? texts.saved : texts.unchanged }
    },
  },
}
