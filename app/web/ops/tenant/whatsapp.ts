/** The WhatsApp numbers that a tenant sends from. */
import { opsDb } from '../../../db/kysely.ts'
import { notFound } from '../../../errors.ts'
import { askAboutNumbers, NUMBER_MOVED } from '../../../tenants/accounts.ts'
import { connectionProblems } from '../../../tenants/checklist.ts'
import {
  checkConnections,
  connect,
  newConnection,
  connectionsOf,
  connectionStateChange,
  setConnectionState,
} from '../../../tenants/connections.ts'
import { askGraph } from '../../../whatsapp/account.ts'
import type { TenantShown } from '../../../tenants/tenants.ts'
import { dayTime, telephone } from '../format.ts'
import {
  actionForm,
  buttonAlert,
  confirmForm,
  type FailedForm,
  formAlert,
  formValue,
  input,
  secretInput,
} from '../forms.ts'
import { html, type Html } from '../html.ts'
import { type Language, translations } from '../language.ts'
import { pauseReason } from '../locales/whatsapp_errors.ts'
import { problemText } from './checklist.ts'
import { failedForm, type Section, sectionForm, tenantPath, type View } from './section.ts'

type Connection = TenantShown['connections'][number]

const tokenInput = (language: Language, failed: FailedForm | null): Html => {
  const texts = whatsappTexts[language]
  return secretInput({ name: 'accessToken', label: texts.token, help: texts.tokenHelp, failed })
}

const tokenForm = (view: View, { phoneNumberId }: Connection, isWanted: boolean): Html => {
  const { language } = view.context
  const texts = whatsappTexts[language]
  // Each number has such a form. Only the one that was sent failed.
  const sent = failedForm(view, 'token')
  const failed = sent && formValue(sent.entered, 'phoneNumberId') === phoneNumberId ? sent : null
  return html`<details id="token-${phoneNumberId}" ${(failed ?? isWanted) && html`open`}>
    <summary>${texts.newToken}</summary>
    ${failed && formAlert(language, failed, 'token')}
    ${sectionForm(
      view,
      'whatsapp',
      'token',
      html`<input type="hidden" name="phoneNumberId" value="${phoneNumberId}" />
        ${tokenInput(language, failed)} <button class="main">${texts.tokenSubmit}</button>`,
    )}
  </details>`
}

const stateForm = ({ context, tenant }: View, { phoneNumberId, state }: Connection): Html => {
  const texts = whatsappTexts[context.language]
  const path = tenantPath(tenant.tenantId, 'whatsapp', 'state')
  return state === 'paused'
    ? actionForm(context, { path, label: texts.resume, fields: { phoneNumberId, state: 'active' } })
    : confirmForm(context, {
        id: `pause-${phoneNumberId}`,
        open: texts.pause,
        warning: texts.pauseMeans,
        path,
        label: texts.pauseYes,
        fields: { phoneNumberId, state: 'paused' },
      })
}

const connectionCard = (view: View, one: Connection): Html => {
  const { language } = view.context
  const texts = whatsappTexts[language]
  const problems = one.reason === NUMBER_MOVED ? [] : connectionProblems(one)
  const state = one.state === 'active' ? (problems.length > 0 ? 'unconfirmed' : 'active') : 'paused'
  const { why, whatNow } = pauseReason(language, one.reason)
  return html`<section class="card">
    <div class="row">
      <h2>${telephone(one.displayNumber)}</h2>
      <span class="badge ${BADGES[state]}">${texts.states[state]}</span>
    </div>
    <p class="quiet">${texts.id}: <bdi>${one.phoneNumberId}</bdi></p>
    ${one.wabaId !== null && html`<p class="quiet">${texts.account}: <bdi>${one.wabaId}</bdi></p>`}
    ${
      one.confirmedAt &&
      html`<p class="quiet">
        ${texts.confirmedAt} ${dayTime(one.confirmedAt, new Date(), language, view.tenant.timezone)}
      </p>`
    }
    ${
      state === 'paused'
        ? html`<p>${why} ${whatNow}</p>`
        : problems.map(problem => {
            const text = problemText(view, problem)
            return html`<p><b>${text.why}</b> ${text.whatNow}</p>`
          })
    }
    ${stateForm(view, one)}
    ${tokenForm(
      view,
      one,
      problems.some(({ code }) => code === 'token_wrong'),
    )}
  </section>`
}

const BADGES = { active: 'good', unconfirmed: 'warn', paused: 'bad' }

const connectCard = (view: View): Html => {
  const { language } = view.context
  const texts = whatsappTexts[language]
  const failed = failedForm(view, 'connect')
  return html`<section class="card">
    <h2>${texts.connect}</h2>
    ${formAlert(language, view.failed, 'connect')}
    ${sectionForm(
      view,
      'whatsapp',
      'connect',
      html`${input({
          name: 'whatsappNumber',
          label: texts.number,
          help: texts.numberHelp,
          kind: 'tel',
          direction: 'ltr',
          failed,
        })}
        ${input({
          name: 'phoneNumberId',
          label: texts.id,
          help: texts.idHelp,
          direction: 'ltr',
          failed,
        })}
        ${tokenInput(language, failed)}
        ${input({
          name: 'wabaId',
          label: texts.account,
          help: texts.accountHelp,
          direction: 'ltr',
          failed,
        })} <button class="main">${texts.connectSubmit}</button>`,
    )}
  </section>`
}

export const whatsapp: Section = {
  show: view => {
    const texts = whatsappTexts[view.context.language]
    const { connections } = view.tenant
    return html`${connections.length === 0 && html`<p class="empty">${texts.none}</p>`}
    ${buttonAlert(view.failed, 'state')}
    ${connections.length > 0 && actionForm(view.context, { path: tenantPath(view.tenant.tenantId, 'whatsapp', 'check'), label: texts.check })}
    ${connections.map(one => connectionCard(view, one))}
    ${
      view.context.tenantScope === null
        ? connectCard(view)
        : html`<p class="quiet">${texts.askOperator}</p>`
    }`
  },
  ask: async ({ action, tenantId, form }) => {
    if (action === 'check') return { numbers: await askAboutNumbers(opsDb, tenantId) }
    const question = { phoneNumberId: true, accessToken: true, wabaId: true } as const
    const asked = newConnection.pick(question).safeParse({
      phoneNumberId: formValue(form, 'phoneNumberId')?.trim(),
      accessToken: formValue(form, 'accessToken'),
      wabaId: formValue(form, 'wabaId')?.trim() || undefined,
    })
    return { answer: asked.success ? await askGraph(asked.data) : { kind: 'unconfirmed' } }
  },
  actions: {
    connect: async ({ trx, context, tenantId, form, prepared }) => {
      const wanted = newConnection.required({ whatsappNumber: true }).parse({
        tenantId,
        phoneNumberId: formValue(form, 'phoneNumberId')?.trim(),
        whatsappNumber: formValue(form, 'whatsappNumber') ?? '',
        wabaId: formValue(form, 'wabaId')?.trim() || undefined,
        accessToken: formValue(form, 'accessToken'),
      })
      const { isConfirmed } = await connect(trx, context.signIn, wanted, prepared?.answer)
      const texts = whatsappTexts[context.language]
      return { flash: isConfirmed ? texts.connected : texts.unconfirmed }
    },
    token: async ({ trx, context, tenantId, form, prepared }) => {
      const { phoneNumberId, accessToken } = newConnection.parse({
        tenantId,
        phoneNumberId: formValue(form, 'phoneNumberId'),
        accessToken: formValue(form, 'accessToken'),
      })
      // Checked here so that the answer does not tell whether another tenant has the number.
      const own = await connectionsOf(trx, tenantId)
      if (!own.some(one => one.phoneNumberId === phoneNumberId))
        throw notFound(`WhatsApp number ${phoneNumberId} of tenant ${tenantId}`)
      await connect(trx, context.signIn, { tenantId, phoneNumberId, accessToken }, prepared?.answer)
      return { flash: whatsappTexts[context.language].tokenSaved }
    },
    check: async ({ trx, context, tenantId, prepared }) => {
      const asked = prepared?.numbers ?? []
      const isAnswered = await checkConnections(trx, context.signIn, tenantId, asked)
      const texts = whatsappTexts[context.language]
      return { flash: isAnswered ? texts.checked : texts.noAnswer }
    },
    state: async ({ trx, context, tenantId, form }) => {
      const wanted = connectionStateChange.parse({
        tenantId,
        phoneNumberId: formValue(form, 'phoneNumberId'),
        state: formValue(form, 'state'),
      })
      await setConnectionState(trx, context.signIn, wanted)
      const texts = whatsappTexts[context.language]
      return { flash: wanted.state === 'paused' ? texts.paused : texts.resumed }
    },
  },
}

const whatsappTexts = translations(
  {
    none: 'No WhatsApp number is connected, so no messages can be sent.',
    states: { active: 'connected', unconfirmed: 'not confirmed', paused: 'paused' },
    confirmedAt: 'Meta confirmed the access token and the number:',
    id: 'Phone number ID',
    idHelp: 'In Meta’s App Dashboard, under WhatsApp, API Setup.',
    number: 'WhatsApp number',
    numberHelp: 'Customers see it as the sender.',
    account: 'WhatsApp Business Account ID',
    accountHelp: 'On the same page at Meta. You can leave it empty: Ringback asks Meta for it.',
    check: 'Ask Meta now',
    checked: 'Meta answered. The checklist shows the result.',
    noAnswer: 'Meta did not answer. Try again in a minute.',
    token: 'Access token',
    tokenHelp:
      'Of a system user with whatsapp_business_messaging and whatsapp_business_management. It is stored encrypted and never shown.',
    pause: 'Pause…',
    pauseMeans:
      'No messages are sent from this number. They wait, and are cancelled if they become too late.',
    pauseYes: 'Pause the number',
    paused: 'The number is paused.',
    resume: 'Resume',
    resumed: 'Resumed. Waiting messages are sent within a minute, unless they are too late.',
    newToken: 'Replace the access token',
    tokenSubmit: 'Save token',
    tokenSaved: 'The new token is used from now on.',
    connect: 'Connect a number',
    connectSubmit: 'Connect',
    connected:
      'WhatsApp confirmed the number, and it is connected. Send a test message to check it.',
    unconfirmed:
      'The number is connected, but WhatsApp could not be asked about it. Send a test message to check it.',
    askOperator: 'Only the operator can connect new WhatsApp numbers.',
  },
  {
    none: 'לא מחובר מספר WhatsApp, ולכן אי אפשר לשלוח הודעות.',
    states: { active: 'מחובר', unconfirmed: 'לא מאושר', paused: 'מושהה' },
    confirmedAt: 'Meta אישרה את מפתח הגישה ואת המספר:',
    id: 'מזהה המספר (Phone number ID)',
    idHelp: 'ב־App Dashboard של Meta, תחת WhatsApp, API Setup.',
    number: 'מספר WhatsApp',
    numberHelp: 'הלקוחות רואים אותו כשולח.',
    account: 'מזהה החשבון (WhatsApp Business Account ID)',
    accountHelp: 'באותו הדף אצל Meta. אפשר להשאיר ריק: Ringback שואלת את Meta.',
    check: 'בדיקה מול Meta',
    checked: 'Meta ענתה. התוצאה מופיעה ברשימת הבדיקה.',
    noAnswer: 'Meta לא ענתה. אפשר לנסות שוב בעוד דקה.',
    token: 'מפתח גישה (access token)',
    tokenHelp:
      'של משתמש מערכת (system user) עם whatsapp_business_messaging ו־whatsapp_business_management. נשמר מוצפן ולא מוצג.',
    pause: 'השהיה…',
    pauseMeans: 'לא נשלחות הודעות מהמספר הזה. הן ממתינות, ומתבטלות אם הן מתעכבות יותר מדי.',
    pauseYes: 'השהיית המספר',
    paused: 'המספר מושהה.',
    resume: 'חידוש',
    resumed: 'הפעילות התחדשה. הודעות שממתינות נשלחות בתוך דקה, אם לא מאוחר מדי.',
    newToken: 'החלפת מפתח הגישה',
    tokenSubmit: 'שמירת המפתח',
    tokenSaved: 'המפתח החדש בשימוש מעכשיו.',
    connect: 'חיבור מספר',
    connectSubmit: 'חיבור',
    connected: 'WhatsApp אישר את המספר, והוא מחובר. כדאי לשלוח הודעת בדיקה.',
    unconfirmed: 'המספר מחובר, אבל לא הצלחנו לבדוק אותו מול WhatsApp. כדאי לשלוח הודעת בדיקה.',
    askOperator: 'רק המפעיל יכול לחבר מספרי WhatsApp חדשים.',
  },
)
