/** The checklist of a business, its mode, and a test message. */
import type { Trx } from '../../../db/kysely.ts'
import type { MessageState, OutgoingState } from '../../../states.ts'
import { loadGoLiveWarnings } from '../../../tenants/go_live.ts'
import type { TenantShown } from '../../../tenants/tenants.ts'
import { sendTestMessage } from '../../../tenants/test_message.ts'
import { dateTime, relativeTime } from '../format.ts'
import { actionForm, buttonAlert } from '../forms.ts'
import { html, type Html } from '../html.ts'
import { translations } from '../language.ts'
import { templateTexts } from '../locales/templates.ts'
import { modeActions, modeCard } from './mode.ts'
import { loadUnknownNumbers } from './numbers.ts'
import { type Section, type SectionName, tenantPath, type View } from './section.ts'

type StepName =
  'webhook' | 'numbers' | 'whatsapp' | 'templates' | 'owner' | 'test' | 'quiet' | 'live'
type StepState = 'done' | 'open' | 'wrong' | 'waiting' | 'paused'
type Step = { name: StepName; state: StepState; section: SectionName }

const TEST_STATES: Partial<Record<MessageState, StepState>> = {
  delivered: 'done',
  read: 'done',
  scheduled: 'waiting',
  sending: 'waiting',
  accepted: 'waiting',
  sent: 'waiting',
}

const MODE_STATES: Record<string, StepState> = { live: 'done', paused: 'paused' }

/** The steps until a business can go live, in their order. */
const checklist = (tenant: TenantShown, test: LastTest | null, unknownNumbers: number): Step[] => {
  const { connections, templates } = tenant
  const isConnected = connections.length > 0
  const areActive = (all: { state: string }[]) => all.every(({ state }) => state === 'active')
  const stateOf = (isDone: boolean, otherwise: StepState) => (isDone ? 'done' : otherwise)
  return [
    { name: 'webhook', section: 'webhook', state: stateOf(tenant.lastWebhookAt !== null, 'open') },
    { name: 'numbers', section: 'numbers', state: stateOf(unknownNumbers === 0, 'wrong') },
    {
      name: 'whatsapp',
      section: 'whatsapp',
      state: isConnected ? stateOf(areActive(connections), 'wrong') : 'open',
    },
    {
      name: 'templates',
      section: 'templates',
      state: isConnected ? stateOf(areActive(templates), 'wrong') : 'open',
    },
    { name: 'owner', section: 'settings', state: stateOf(tenant.ownerPhone !== null, 'open') },
    {
      name: 'test',
      section: 'overview',
      state: test ? (TEST_STATES[test.state] ?? 'wrong') : 'open',
    },
    { name: 'quiet', section: 'settings', state: stateOf(tenant.quietChosen, 'open') },
    { name: 'live', section: 'overview', state: MODE_STATES[tenant.mode] ?? 'open' },
  ]
}

const MARKS: Record<StepState, { mark: string; badge: string }> = {
  done: { mark: '✓', badge: 'good' },
  waiting: { mark: '…', badge: 'warn' },
  open: { mark: '○', badge: '' },
  wrong: { mark: '!', badge: 'bad' },
  paused: { mark: '–', badge: 'bad' },
}

/** What to know or to do about a step. */
const stepDetail = ({ name, state }: Step, { context, tenant }: View, unknownNumbers: number) => {
  const texts = overviewTexts[context.language]
  if (name === 'webhook')
    return tenant.lastWebhookAt
      ? relativeTime(tenant.lastWebhookAt, new Date(), context.language)
      : texts.webhookOpen
  if (state === 'done') return null
  if (name === 'numbers') return texts.unknownNumbers(unknownNumbers)
  if (name === 'whatsapp') return state === 'wrong' && texts.connectionPaused
  if (name === 'test') return state === 'open' && texts.testOpen
  if (name !== 'templates') return null
  if (state === 'open') return texts.templatesOpen
  const { kinds } = templateTexts[context.language]
  const paused = tenant.templates.filter(one => one.state === 'paused')
  return texts.templatePaused([...new Set(paused.map(({ kind }) => kinds[kind]))].join(', '))
}

const checklistItem = (step: Step, view: View, unknownNumbers: number): Html => {
  const texts = overviewTexts[view.context.language]
  const { mark, badge } = MARKS[step.state]
  const detail = stepDetail(step, view, unknownNumbers)
  const href =
    step.section === 'overview' ? `#${step.name}` : tenantPath(view.tenant.tenantId, step.section)
  return html`<li>
    <span
      ><a href="${href}">${texts.steps[step.name]}</a>${
        detail && html`<br /><small>${detail}</small>`
      }</span
    >
    <span class="badge ${badge}"
      ><b aria-hidden="true">${mark}</b> ${texts.states[step.state]}</span
    >
  </li>`
}

type LastTest = { state: MessageState; code: number | null; at: Date }

const loadLastTest = async (trx: Trx, tenantId: string): Promise<LastTest | null> =>
  (await trx
    .selectFrom('messages')
    .select(['state', 'error_code as code', 'created_at as at'])
    .where('tenant_id', '=', tenantId)
    .where('occasion', 'like', 'test:%')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()) ?? null

/** A message to the owner's own phone, and the result of the last one. */
const testCard = ({ context, tenant, failed }: View, last: LastTest | null): Html => {
  const { test: texts } = overviewTexts[context.language]
  const states: Record<string, string> = texts.states
  return html`<section class="card" id="test">
    <h2>${texts.title}</h2>
    <p class="quiet">${texts.help}</p>
    ${buttonAlert(failed, 'test')}
    ${
      last &&
      html`<p>
        ${texts.last} (${dateTime(last.at, context.language, tenant.timezone)}):
        <b>${states[last.state] ?? last.state}</b>
        ${last.code !== null && texts.code(last.code)}
      </p>`
    }
    ${actionForm(context, {
      path: tenantPath(tenant.tenantId, 'overview', 'test'),
      label: texts.send,
    })}
  </section>`
}

export const overview: Section = {
  show: async view => {
    const { trx, context, tenant } = view
    const test = await loadLastTest(trx, tenant.tenantId)
    const unknownNumbers = (await loadUnknownNumbers(trx, tenant.tenantId)).length
    const steps = checklist(tenant, test, unknownNumbers)
    const texts = overviewTexts[context.language]
    const open = steps.filter(({ state }) => state !== 'done').map(({ name }) => name)
    // Going live asks for the quiet times.
    const isReady = open.every(name => name === 'live' || name === 'quiet')
    const warnings = await loadGoLiveWarnings(trx, tenant.tenantId)
    return html`<section class="card">
        <h2>${texts.title}</h2>
        ${open.length === 0 && html`<p>${texts.ready}</p>`}
        <ol class="checklist">
          ${steps.map(step => checklistItem(step, view, unknownNumbers))}
        </ol>
      </section>
      ${modeCard(view, isReady, warnings)} ${testCard(view, test)}`
  },
  actions: {
    ...modeActions,
    test: async ({ trx, context, tenantId }) => {
      await sendTestMessage(trx, context.signIn, tenantId)
      return { flash: overviewTexts[context.language].test.sent }
    },
  },
}

const overviewTexts = translations(
  {
    title: 'Checklist',
    ready: 'Everything is ready.',
    states: {
      done: 'done',
      open: 'to do',
      wrong: 'needs attention',
      waiting: 'in progress',
      paused: 'paused',
    },
    steps: {
      webhook: 'Voicenter reported a call',
      numbers: 'All numbers that customers dial are entered',
      whatsapp: 'WhatsApp is connected',
      templates: 'The message templates work',
      owner: 'The owner’s phone is entered',
      test: 'A test message arrived',
      quiet: 'Quiet times were chosen',
      live: 'The business is live',
    },
    webhookOpen: 'Enter the webhook URL in Voicenter’s CPanel.',
    unknownNumbers: (count: number) =>
      count === 1
        ? 'Customers called one number that is not entered here.'
        : `Customers called ${count} numbers that are not entered here.`,
    connectionPaused: 'The WhatsApp number is paused.',
    templatePaused: (kinds: string) => `Paused: ${kinds}.`,
    templatesOpen: 'Connect WhatsApp first.',
    testOpen: 'Send a test message below.',
    test: {
      title: 'Test message',
      help: 'Sends the first message that customers get to the owner’s phone, also in trial mode and during a pause. If it arrives, the number, the token and the template work.',
      send: 'Send test message',
      sent: 'The test message will be sent now. See the result below.',
      last: 'Last test',
      states: {
        scheduled: 'It will be sent now.',
        sending: 'It is being sent.',
        accepted: 'WhatsApp accepted it. It has not arrived yet.',
        sent: 'WhatsApp sent it. It has not arrived yet.',
        delivered: 'It arrived.',
        read: 'It arrived and was read.',
        failed: 'It failed.',
        unknown: 'WhatsApp did not answer, so it may or may not have been sent.',
        cancelled: 'It was not sent.',
        skipped: 'It was not sent.',
        shadow: 'It was not sent.',
      } satisfies Record<OutgoingState, string>,
      code: (code: number) => `WhatsApp error ${code}`,
    },
  },
  {
    title: 'רשימת בדיקה',
    ready: 'הכול מוכן.',
    states: {
      done: 'בוצע',
      open: 'לביצוע',
      wrong: 'דורש טיפול',
      waiting: 'בתהליך',
      paused: 'מושהה',
    },
    steps: {
      webhook: 'התקבל דיווח שיחה מ־Voicenter',
      numbers: 'כל המספרים שהלקוחות מחייגים הוזנו',
      whatsapp: 'WhatsApp מחובר',
      templates: 'תבניות ההודעות תקינות',
      owner: 'הטלפון של בעלי העסק הוזן',
      test: 'הודעת בדיקה הגיעה',
      quiet: 'נבחרו זמנים שקטים',
      live: 'העסק פעיל',
    },
    webhookOpen: 'יש להזין את כתובת ה־Webhook ב־CPanel של Voicenter.',
    unknownNumbers: count =>
      count === 1
        ? 'לקוחות התקשרו למספר אחד שלא הוזן כאן.'
        : `לקוחות התקשרו ל־${count} מספרים שלא הוזנו כאן.`,
    connectionPaused: 'מספר ה־WhatsApp מושהה.',
    templatePaused: kinds => `מושהות: ${kinds}.`,
    templatesOpen: 'יש לחבר קודם WhatsApp.',
    testOpen: 'אפשר לשלוח הודעת בדיקה למטה.',
    test: {
      title: 'הודעת בדיקה',
      help: 'ההודעה הראשונה שהלקוחות מקבלים נשלחת לטלפון של בעלי העסק, גם במצב ניסיון וגם בזמן השהיה. אם היא מגיעה, המספר, המפתח והתבנית תקינים.',
      send: 'שליחת הודעת בדיקה',
      sent: 'הודעת הבדיקה תישלח עכשיו. התוצאה תופיע למטה.',
      last: 'הבדיקה האחרונה',
      states: {
        scheduled: 'תישלח עכשיו.',
        sending: 'נשלחת כעת.',
        accepted: 'התקבלה ב־WhatsApp ועדיין לא הגיעה.',
        sent: 'נשלחה מ־WhatsApp ועדיין לא הגיעה.',
        delivered: 'הגיעה.',
        read: 'הגיעה ונקראה.',
        failed: 'נכשלה.',
        unknown: 'WhatsApp לא ענה, ולכן לא ידוע אם נשלחה.',
        cancelled: 'לא נשלחה.',
        skipped: 'לא נשלחה.',
        shadow: 'לא נשלחה.',
      },
      code: code => `שגיאת WhatsApp ${code}`,
    },
  },
)
