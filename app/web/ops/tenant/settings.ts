/** What a business can set about itself: one form. */
import {
  setTenant,
  settings as schema,
  readSettings,
  SPANS,
  type Span,
} from '../../../tenants/settings.ts'
import { KNOWN_STATUSES } from '../../../voicenter/classify.ts'
import { html, type Html } from '../html.ts'
import { lines, several, text } from '../attempt.ts'
import { input, problem, refused, textArea, tick } from '../fields.ts'
import type { Form } from '../page.ts'
import { spanFrom, spanText } from '../span_text.ts'
import { tenantSettingsWords } from '../words/tenant_settings.ts'
import { windowFrom, windowText } from '../window_text.ts'
import { whyWords } from '../words/why.ts'
import { type About, form, refusalOf, type Section } from './section.ts'

/** What most businesses want; they stand as boxes to tick, and as windows among the others in the database. */
const COMMON = { nights: '21:00-08:00', shabbat: 'fri 15:00-sat 20:30' } as const
const isCommon = (window: string): boolean => Object.values<string>(COMMON).includes(window)

const SPAN_NAMES: Span[] = [
  'outreachDelay',
  'reminder1After',
  'reminder2After',
  'unresponsiveAfter',
  'repeatWindow',
  'oldestCall',
  'grace',
  'reminderGrace',
]

const aboutCard = (about: About): Html => {
  const words = tenantSettingsWords[about.visit.language]
  const { name, ownerPhone, timezone } = about.shown
  const refusal = refusalOf(about, 'save')
  return html`<fieldset class="card">
    <legend>${words.about}</legend>
    ${input({ name: 'name', label: words.name, help: words.nameHelp, value: name, refusal })}
    ${input({
      name: 'ownerPhone',
      label: words.ownerPhone,
      help: words.ownerPhoneHelp,
      kind: 'tel',
      direction: 'ltr',
      value: ownerPhone,
      refusal,
    })}
    ${input({
      name: 'timezone',
      label: words.timezone,
      help: words.timezoneHelp,
      direction: 'ltr',
      value: timezone,
      refusal,
    })}
  </fieldset>`
}

const whenCard = (about: About): Html => {
  const { language } = about.visit
  const words = tenantSettingsWords[language]
  const refusal = refusalOf(about, 'save')
  return html`<fieldset class="card">
    <legend>${words.when}</legend>
    <p class="quiet">${words.whenHelp}</p>
    <div class="columns">
      ${SPAN_NAMES.map(name => {
        const [label = name, help = ''] = words.spans[name]
        return input({ name, label, help, value: spanText(language, about.shown[name]), refusal })
      })}
    </div>
  </fieldset>`
}

const quietCard = (about: About): Html => {
  const words = tenantSettingsWords[about.visit.language]
  const refusal = refusalOf(about, 'save')
  const chosen = refusal ? several(refusal.entered, 'commonWindows') : about.shown.quietWindows
  const others = about.shown.quietWindows.filter(window => !isCommon(window))
  return html`<fieldset class="card">
    <legend>${words.quiet}</legend>
    <p class="quiet">${words.quietHelp}</p>
    ${tick('commonWindows', COMMON.nights, words.nights, chosen.includes(COMMON.nights))}
    ${tick('commonWindows', COMMON.shabbat, words.shabbat, chosen.includes(COMMON.shabbat))}
    ${textArea({
      name: 'quietWindows',
      label: words.quietOther,
      help: words.quietOtherHelp,
      rows: 3,
      value: others.map(window => windowText(about.visit.language, window)).join('\n'),
      refusal,
    })}
  </fieldset>`
}

const whichCard = (about: About): Html => {
  const { visit, shown } = about
  const words = tenantSettingsWords[visit.language]
  const statuses: Record<string, string> = whyWords[visit.language].statuses
  const refusal = refusalOf(about, 'save')
  const missed = refusal ? several(refusal.entered, 'missedStatuses') : shown.missedStatuses
  const foreign = refusal ? text(refusal.entered, 'contactForeign') === 'yes' : shown.contactForeign
  return html`<fieldset class="card">
    <legend>${words.which}</legend>
    <h3 id="missed">${words.missed}</h3>
    <p class="quiet">${words.missedHelp}</p>
    <div class="ticks" role="group" aria-labelledby="missed">
      ${[...KNOWN_STATUSES].map(status =>
        tick(
          'missedStatuses',
          status,
          html`${statuses[status.toLowerCase()] ?? status} <small>${status}</small>`,
          missed.includes(status),
        ),
      )}
    </div>
    ${problem(refusal, 'missedStatuses')}
    ${input({
      name: 'minRingSeconds',
      label: words.minRing,
      help: words.minRingHelp,
      direction: 'ltr',
      value: shown.minRingSeconds,
      refusal,
    })}
    ${tick('contactForeign', 'yes', words.foreign, foreign)}
  </fieldset>`
}

const spansIn = (form: Form) =>
  Object.fromEntries(
    Object.keys(SPANS).map(name => {
      const entered = text(form, name)
      return [name, entered === undefined ? undefined : spanFrom(entered)]
    }),
  )

/** In a list whose order means nothing, what was there stays where it was: only then is nothing changed. */
const inOrderOf = (before: string[], wanted: string[] | undefined): string[] | undefined => {
  const place = (one: string) => (before.includes(one) ? before.indexOf(one) : before.length)
  return wanted?.toSorted((one, other) => place(one) - place(other))
}

export const settings: Section = {
  show: about => {
    const words = tenantSettingsWords[about.visit.language]
    return html`${refused(about.visit.language, about.refusal, 'save')}
    ${form(
      about,
      'settings',
      'save',
      html`${aboutCard(about)} ${whenCard(about)} ${quietCard(about)} ${whichCard(about)}
        <p class="save"><button class="main">${words.save}</button></p>`,
    )}`
  },
  deeds: {
    save: async ({ trx, visit, tenantId, form }) => {
      const wanted = schema.parse({
        tenantId,
        name: text(form, 'name'),
        ownerPhone: text(form, 'ownerPhone')?.trim(),
        timezone: text(form, 'timezone'),
        ...spansIn(form),
        // The lines first: a mistake in one of them is told by its number.
        quietWindows: [
          ...lines(form, 'quietWindows').map(windowFrom),
          ...several(form, 'commonWindows'),
        ],
        missedStatuses: several(form, 'missedStatuses'),
        minRingSeconds: text(form, 'minRingSeconds'),
        contactForeign: text(form, 'contactForeign') === 'yes',
      })
      const before = await readSettings(trx, tenantId)
      const { after } = await setTenant(trx, visit.signIn, {
        ...wanted,
        quietWindows: inOrderOf(before.quietWindows, wanted.quietWindows),
        missedStatuses: inOrderOf(before.missedStatuses, wanted.missedStatuses),
      })
      const words = tenantSettingsWords[visit.language]
      return { said: Object.keys(after).length > 0 ? words.saved : words.unchanged }
    },
  },
}
