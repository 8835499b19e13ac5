/** The checklist of a tenant, its mode, and a test message. */
import type { Trx } from '../../../db/kysely.ts'
import type { MessageState, OutgoingState } from '../../../states.ts'
import { isSetUp } from '../../../tenants/checklist.ts'
import { loadChecklist } from '../../../tenants/checklist_facts.ts'
import { goLiveWarnings } from '../../../tenants/go_live.ts'
import { sendTestMessage } from '../../../tenants/test_message.ts'
import { dayTime } from '../format.ts'
import { actionForm, buttonAlert } from '../forms.ts'
import { html, type Html } from '../html.ts'
import { translations } from '../language.ts'
import { checklistCard } from './checklist.ts'
import { modeActions, modeCard } from './mode.ts'
import { type Section, tenantPath, type View } from './section.ts'

type LastTest = { state: MessageState; at: Date }

const loadLastTest = async (trx: Trx, tenantId: string): Promise<LastTest | null> =>
  (await trx
    .selectFrom('messages')
    .select(['state', 'created_at as at'])
    .where('tenant_id', '=', tenantId)
    .where('occasion', 'like', 'test:%')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()) ?? null

/** A message to the owner's own phone, and the result of the last one. */
const testForm = ({ context, tenant, failed }: View, last: LastTest | null): Html => {
  const { test: texts } = overviewTexts[context.language]
  const states: Record<string, string> = texts.states
  const button = actionForm(context, {
    path: tenantPath(tenant.tenantId, 'overview', 'test'),
    label: texts.send,
  })
  const hasArrived = last?.state === 'delivered' || last?.state === 'read'
  return html`<div id="test">
    ${buttonAlert(failed, 'test')}
    ${
      last &&
      !hasArrived &&
      html`<p>
        ${texts.last} (${dayTime(last.at, new Date(), context.language, tenant.timezone)}):
        ${states[last.state] ?? last.state}
      </p>`
    }
    ${
      hasArrived
        ? html`<details id="test-again">
            <summary>${texts.again}</summary>
            ${button}
          </details>`
        : tenant.ownerPhone !== null &&
          tenant.connections.length > 0 &&
          html`<p class="quiet">${texts.help}</p>
            ${button}`
    }
  </div>`
}

export const overview: Section = {
  show: async view => {
    const { trx, tenant } = view
    const steps = await loadChecklist(trx, tenant)
    const test = await loadLastTest(trx, tenant.tenantId)
    const checks = checklistCard(view, steps, testForm(view, test))
    const mode = modeCard(view, isSetUp(steps), goLiveWarnings(steps))
    // The pages of a live tenant are opened to change its mode, those of a new one to set it up.
    return tenant.mode === 'shadow' ? html`${checks} ${mode}` : html`${mode} ${checks}`
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
    test: {
      help: 'Sends the first message that customers get to the owner’s phone, also in trial mode and during a pause. If it arrives, the number, the token and the template work.',
      send: 'Send test message',
      again: 'Send another test message',
      sent: 'The test message will be sent now. The checklist shows the result.',
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
    },
  },
  {
    test: {
      help: 'ההודעה הראשונה שהלקוחות מקבלים נשלחת לטלפון של בעלי העסק, גם במצב ניסיון וגם בזמן השהיה. אם היא מגיעה, המספר, המפתח והתבנית תקינים.',
      send: 'שליחת הודעת בדיקה',
      again: 'שליחת הודעת בדיקה נוספת',
      sent: 'הודעת הבדיקה תישלח עכשיו. התוצאה תופיע ברשימת הבדיקה.',
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
    },
  },
)
