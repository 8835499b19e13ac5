/** The checklist of a business, its mode, and a test message. */
import type { Trx } from '../../../db/kysely.ts'
import type { MessageState, OutgoingState } from '../../../states.ts'
import { isSetUp } from '../../../tenants/checklist.ts'
import { loadChecklist } from '../../../tenants/checklist_facts.ts'
import { goLiveWarnings } from '../../../tenants/go_live.ts'
import { sendTestMessage } from '../../../tenants/test_message.ts'
import { dateTime } from '../format.ts'
import { actionForm, buttonAlert } from '../forms.ts'
import { html, type Html } from '../html.ts'
import { translations } from '../language.ts'
import { checklistCard } from './checklist.ts'
import { modeActions, modeCard } from './mode.ts'
import { type Section, tenantPath, type View } from './section.ts'

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
    const { trx, tenant } = view
    const steps = await loadChecklist(trx, tenant)
    const test = await loadLastTest(trx, tenant.tenantId)
    const checks = checklistCard(view, steps)
    const mode = modeCard(view, isSetUp(steps), goLiveWarnings(steps))
    // Of a business that is live, the mode is what a person looks for.
    return html`${tenant.mode === 'shadow' ? html`${checks} ${mode}` : html`${mode} ${checks}`}
    ${testCard(view, test)}`
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
