/** Trial, live or paused: what each mode means, and the buttons to change it. */
import { z } from 'zod'
import { checkConfirmed, type GoLiveWarning } from '../../../tenants/go_live.ts'
import { resumeTenant, settingsChange, setTenant } from '../../../tenants/settings.ts'
import { formatSpan, formatWindow } from '../format.ts'
import { actionForm, buttonAlert, formAlert, formValue, formValues, radio } from '../forms.ts'
import { html, type Html } from '../html.ts'
import { type Language, translations } from '../language.ts'
import { type Section, tenantPath, type View } from './section.ts'
import { nextWindow } from './settings.ts'

const MODES = ['shadow', 'live', 'paused'] as const

/** The page asks this when a tenant goes live without a choice of quiet windows. */
const QUIET_CHOICES = {
  all: ['shabbat', 'holidays', '21:00-08:00'],
  holy: ['shabbat', 'holidays'],
  none: [],
}
const QUIET_NAMES = ['all', 'holy', 'none'] as const

/** The choice in the checklist. */
export const quietForm = (view: View): Html => {
  const { context, tenant } = view
  const path = tenantPath(tenant.tenantId, 'overview', 'quiet')
  const label = modeTexts[context.language].saveQuiet
  return actionForm(context, { path, label }, quietQuestion(view))
}

const quietQuestion = (view: View): Html => {
  const { language } = view.context
  const texts = modeTexts[language]
  const next = nextWindow(view, QUIET_CHOICES.all)
  return html`<fieldset>
    <legend>${texts.askQuiet}</legend>
    ${QUIET_NAMES.map(name => radio('quiet', name, texts.quietChoices[name], false))}
    ${next !== null && html`<p class="quiet">${next}</p>`}
    <p class="quiet">${texts.quietLater}</p>
  </fieldset>`
}

/** The warnings, and the hidden fields that confirm that the visitor saw them. */
export const confirmWarnings = (language: Language, warnings: GoLiveWarning[]): Html[] =>
  warnings.map(
    warning =>
      html`<p class="problem">⚠ ${modeTexts[language].warnings[warning]}</p>
        <input type="hidden" name="confirmed" value="${warning}" />`,
  )

const goLive = (view: View, isReady: boolean, warnings: GoLiveWarning[]): Html => {
  const { context, tenant, failed } = view
  const { language } = context
  const texts = modeTexts[language]
  const span = (stored: string) => formatSpan(language, stored)
  const list = (windows: string[]) =>
    windows.map(window => formatWindow(language, window)).join(', ')
  const isAsked = failed?.action === 'mode' && failed.entered['mode'] === 'live'
  // The question takes the place of this warning.
  const others = warnings.filter(warning => warning !== 'no_quiet_windows')
  return html`<details ${isAsked ? html`id="go-live" open` : html`id="go-live"`}>
    <summary class="button main">${texts.toLive}</summary>
    <h3>${texts.whatHappens}</h3>
    <p>${texts.first(span(tenant.outreachDelay))}</p>
    <p>${texts.reminders(span(tenant.reminder1After), span(tenant.reminder2After))}</p>
    ${tenant.quietWindows.length > 0 && html`<p>${texts.quiet(list(tenant.quietWindows))}</p>`}
    ${
      tenant.reminderQuietWindows.length > 0 &&
      html`<p>${texts.reminderQuiet(list(tenant.reminderQuietWindows))}</p>`
    }
    ${tenant.waiting > 0 && html`<p>${texts.waiting(tenant.waiting)}</p>`}
    ${!isReady && html`<p class="problem">⚠ ${texts.notReady}</p>`}
    ${actionForm(
      context,
      {
        path: tenantPath(tenant.tenantId, 'overview', 'mode'),
        label: others.length ? texts.toLiveAnyway : texts.toLiveYes,
        fields: { mode: 'live' },
      },
      html`${others.length > 0 && html`<div>${confirmWarnings(language, others)}</div>`}
      ${!tenant.quietChosen && quietQuestion(view)}`,
    )}
  </details>`
}

const button = ({ context, tenant }: View, mode: 'shadow' | 'paused'): Html => {
  const texts = modeTexts[context.language]
  return actionForm(context, {
    path: tenantPath(tenant.tenantId, 'overview', 'mode'),
    label: mode === 'paused' ? texts.toPaused : texts.toShadow,
    fields: { mode },
  })
}

/**
 * @param isReady all other steps of the checklist are done
 * @param warnings what speaks against going live, and must be confirmed
 */
export const modeCard = (view: View, isReady: boolean, warnings: GoLiveWarning[]): Html => {
  const { context, tenant, failed } = view
  const texts = modeTexts[context.language]
  return html`<section class="card" id="live">
    <h2>${texts.title}</h2>
    ${formAlert(context.language, failed, 'mode')} ${buttonAlert(failed, 'resume')}
    <dl class="modes">
      ${MODES.map(
        mode =>
          html`<dt>
              ${texts.names[mode]}
              ${mode === tenant.mode && html`<span class="badge good">${texts.now}</span>`}
            </dt>
            <dd>
              <p>${texts.means[mode]}</p>
              ${mode !== tenant.mode && (mode === 'live' ? goLive(view, isReady, warnings) : button(view, mode))}
              ${
                mode === 'paused' &&
                tenant.mode === 'paused' &&
                html`${actionForm(context, {
                    path: tenantPath(tenant.tenantId, 'overview', 'resume'),
                    label: texts.resume,
                  })}
                  <p class="quiet">${texts.resumeMeans}</p>`
              }
            </dd>`,
      )}
    </dl>
  </section>`
}

const modeFlash = (language: Language, after: { mode?: unknown }): string => {
  const texts = modeTexts[language]
  const mode = MODES.find(one => one === after.mode)
  return mode ? texts.changed[mode] : texts.unchanged
}

export const modeActions: Section['actions'] = {
  mode: async ({ trx, context, tenantId, form }) => {
    const choice = QUIET_NAMES.find(name => name === formValue(form, 'quiet'))
    const wanted = settingsChange.required({ mode: true }).parse({
      tenantId,
      mode: formValue(form, 'mode'),
      quietWindows: choice && QUIET_CHOICES[choice],
    })
    const { after } = await setTenant(trx, context.signIn, wanted)
    if (wanted.mode === 'live') await checkConfirmed(trx, tenantId, formValues(form, 'confirmed'))
    return { flash: modeFlash(context.language, after) }
  },
  quiet: async ({ trx, context, tenantId, form }) => {
    const quiet = z.enum(QUIET_NAMES).parse(formValue(form, 'quiet'))
    const wanted = settingsChange.parse({ tenantId, quietWindows: QUIET_CHOICES[quiet] })
    await setTenant(trx, context.signIn, wanted)
    return { flash: modeTexts[context.language].quietSaved }
  },
  resume: async ({ trx, context, tenantId }) => {
    const { after } = await resumeTenant(trx, context.signIn, tenantId)
    return { flash: modeFlash(context.language, after) }
  },
}

const modeTexts = translations(
  {
    title: 'Mode',
    now: 'now',
    names: { live: 'Live', shadow: 'Trial', paused: 'Paused' },
    means: {
      live: 'After a missed call, the caller gets a message, and up to two reminders until they answer.',
      shadow: 'Everything works and is shown as in live mode, but no message is really sent.',
      paused:
        'No messages are sent. Calls are still recorded. Messages that are due during the pause are not sent later.',
    },
    toShadow: 'Switch to trial',
    toPaused: 'Pause',
    toLive: 'Go live…',
    resume: 'Resume',
    resumeMeans:
      'Returns to the mode before the pause. Only messages that are due from now on are sent.',
    whatHappens: 'What will happen',
    first: (delay: string) => `The caller gets a WhatsApp message ${delay} after a missed call.`,
    reminders: (one: string, two: string) =>
      `Callers who do not answer get a reminder after ${one} and a last one after ${two}.`,
    quiet: (windows: string) =>
      `No messages are sent in the quiet times (${windows}). They are sent when the quiet time ends.`,
    reminderQuiet: (windows: string) =>
      `Reminders also wait for the end of these times: ${windows}.`,
    askQuiet: 'When should customers get no messages?',
    quietChoices: {
      all: 'On Shabbat and holidays, and at night (21:00 to 08:00)',
      holy: 'On Shabbat and holidays',
      none: 'Messages may be sent at any time',
    },
    saveQuiet: 'Save this choice',
    quietSaved: 'The quiet times are saved.',
    quietLater: 'You can set other times and the place in the settings.',
    waiting: (count: number) =>
      count === 1
        ? 'The message that is waiting now will be sent.'
        : `The ${count} messages that are waiting now will be sent.`,
    notReady: 'Some steps above are not done yet.',
    warnings: {
      test_not_arrived: 'No test message has arrived yet, or the last one did not arrive.',
      no_app_secret:
        'The operator has not set WHATSAPP_APP_SECRET. Replies and requests for no messages do not arrive, and no reminder is sent.',
      no_webhook_from_meta:
        'WhatsApp has not reported anything yet. Replies and requests for no messages may not arrive.',
      no_quiet_windows:
        'No quiet times are chosen. Messages are sent at any hour of the day and night.',
    } satisfies Record<GoLiveWarning, string>,
    toLiveYes: 'Yes, send messages to customers',
    toLiveAnyway: 'Send messages to customers anyway',
    changed: {
      live: 'The business is live. Messages are sent to customers from now on.',
      shadow: 'The business is in trial mode. No messages are sent.',
      paused: 'The business is paused. No messages are sent.',
    },
    unchanged: 'No change.',
  },
  {
    title: 'מצב',
    now: 'כעת',
    names: { live: 'פעיל', shadow: 'ניסיון', paused: 'מושהה' },
    means: {
      live: 'אחרי שיחה שלא נענתה נשלחת הודעה, ואחריה עד שתי תזכורות, עד שמתקבלת תשובה.',
      shadow: 'הכול פועל ומוצג כמו במצב פעיל, אבל שום הודעה לא נשלחת באמת.',
      paused:
        'לא נשלחות הודעות. השיחות ממשיכות להירשם. הודעות שהמועד שלהן מגיע בזמן ההשהיה לא יישלחו אחריה.',
    },
    toShadow: 'מעבר למצב ניסיון',
    toPaused: 'השהיה',
    toLive: 'הפעלה…',
    resume: 'חידוש הפעילות',
    resumeMeans: 'חזרה למצב שלפני ההשהיה. יישלחו רק הודעות שהמועד שלהן יגיע מעכשיו.',
    whatHappens: 'מה יקרה',
    first: delay => `הודעת WhatsApp נשלחת ${delay} אחרי כל שיחה שלא נענתה.`,
    reminders: (one, two) =>
      `אם לא מתקבלת תשובה, נשלחת תזכורת אחרי ${one} ותזכורת אחרונה אחרי ${two}.`,
    quiet: windows => `בזמנים השקטים (${windows}) לא נשלחות הודעות. הן נשלחות בסוף הזמן השקט.`,
    reminderQuiet: windows => `תזכורות ממתינות גם לסוף הזמנים האלה: ${windows}.`,
    askQuiet: 'מתי לא לשלוח הודעות ללקוחות?',
    quietChoices: {
      all: 'בשבת ובחגים, ובלילה (21:00 עד 08:00)',
      holy: 'בשבת ובחגים',
      none: 'אפשר לשלוח בכל זמן',
    },
    saveQuiet: 'שמירת הבחירה',
    quietSaved: 'הזמנים השקטים נשמרו.',
    quietLater: 'אפשר לקבוע זמנים אחרים ואת המקום בהגדרות.',
    waiting: count =>
      count === 1 ? 'תישלח ההודעה שממתינה עכשיו.' : `יישלחו ${count} ההודעות שממתינות עכשיו.`,
    notReady: 'חלק מהשלבים למעלה עוד לא בוצעו.',
    warnings: {
      test_not_arrived: 'עוד לא הגיעה הודעת בדיקה, או שהאחרונה לא הגיעה.',
      no_app_secret:
        'המפעיל לא הגדיר WHATSAPP_APP_SECRET. תשובות ובקשות הסרה לא מגיעות, ולא נשלחות תזכורות.',
      no_webhook_from_meta:
        'עוד לא התקבל שום דיווח מ־WhatsApp. ייתכן שתשובות ובקשות הסרה לא יגיעו.',
      no_quiet_windows: 'לא נבחרו זמנים שקטים. הודעות נשלחות בכל שעה, ביום ובלילה.',
    },
    toLiveYes: 'כן, הפעלת שליחה ללקוחות',
    toLiveAnyway: 'הפעלת שליחה ללקוחות בכל זאת',
    changed: {
      live: 'העסק פעיל. מעכשיו נשלחות הודעות ללקוחות.',
      shadow: 'העסק במצב ניסיון. לא נשלחות הודעות.',
      paused: 'העסק מושהה. לא נשלחות הודעות.',
    },
    unchanged: 'אין שינוי.',
  },
)
