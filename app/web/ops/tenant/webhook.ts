/** The URLs to which Voicenter reports calls. */
import {
  addToken,
  revokeToken,
  tenantToken,
  type WebhookKind,
  webhookUrl,
} from '../../../tenants/credentials.ts'
import { config, isLoopback } from '../../../config.ts'
import { copyable } from '../copy.ts'
import { dateTime, relativeTime } from '../format.ts'
import { actionForm, buttonAlert, checkbox, formValue } from '../forms.ts'
import { html, type Html } from '../html.ts'
import { type Language, translations } from '../language.ts'
import { type ActionContext, failedForm, type Section, tenantPath, type View } from './section.ts'

type Token = View['tenant']['webhookTokens'][number]

/** A new URL with instructions. It cannot be shown again, because only its hash is stored. */
export const newUrl = (
  language: Language,
  webhookToken: string,
  kind: WebhookKind = 'cdr',
): Html => {
  const texts = webhookTexts[language]
  const steps = kind === 'popup' ? texts.popupSteps : texts.steps
  return html`<h2>${texts.urls[kind]}</h2>
    ${copyable(language, 'new-url', texts.url, webhookUrl(webhookToken, kind))}
    ${
      isLoopback(config().PUBLIC_URL) &&
      html`<p class="problem">⚠ ${texts.onlyHere(config().PUBLIC_URL)}</p>`
    }
    <p><b>${kind === 'popup' ? texts.popupOnce : texts.once}</b></p>
    <h3>${texts.nextSteps}</h3>
    <ol>
      ${steps.map(step => html`<li>${step}</li>`)}
    </ol>`
}

const revokeForm = (view: View, { tokenId }: Token, isLast: boolean): Html => {
  const { context, tenant } = view
  const texts = webhookTexts[context.language]
  const failed = failedForm(view, 'revoke')
  const isFailed = failed && formValue(failed.entered, 'tokenId') === tokenId
  return html`<details id="revoke-${tokenId}" ${isFailed && html`open`}>
    <summary>${texts.revoke}</summary>
    <p>${isLast ? texts.revokeLastMeans : texts.revokeMeans}</p>
    ${actionForm(
      context,
      {
        path: tenantPath(tenant.tenantId, 'webhook', 'revoke'),
        label: texts.revokeYes,
        fields: { tokenId },
        about: tokenId,
      },
      isLast ? checkbox('force', 'yes', texts.force, false) : null,
    )}
  </details>`
}

const tokenRow = (view: View, token: Token, isLast: boolean): Html => {
  const { context, tenant } = view
  const texts = webhookTexts[context.language]
  const { tokenId, createdAt, revokedAt } = token
  const date = (at: Date) => dateTime(at, context.language, tenant.timezone)
  return html`<li>
    <span
      ><strong>${texts.id} ${tokenId}</strong>
      <span class="badge ${!revokedAt && 'good'}">${revokedAt ? texts.revoked : texts.valid}</span
      ><br /><small
        >${texts.urls[token.kind === 'popup' ? 'popup' : 'cdr']}, ${texts.created}
        ${date(createdAt)}${revokedAt && html`, ${texts.revoked} ${date(revokedAt)}`}</small
      ></span
    >
    ${!revokedAt && revokeForm(view, token, isLast)}
  </li>`
}

const callLogCard = ({ context, tenant: { callLog } }: View): Html => {
  const texts = webhookTexts[context.language]
  return html`<section class="card">
    <h2>${texts.callLog}</h2>
    <p>
      ${
        callLog
          ? texts.callLogLost(callLog.lost, callLog.calls, callLog.lossPercent)
          : texts.callLogNone
      }
    </p>
    ${callLog?.lastError && html`<p class="problem">⚠ ${texts.callLogError(callLog.lastError)}</p>`}
  </section>`
}

const addUrl = async ({ trx, context, tenantId }: ActionContext, kind: WebhookKind) => {
  const { webhookToken } = await addToken(trx, context.signIn, tenantId, kind)
  return { secret: webhookToken }
}

export const webhook: Section = {
  show: view => {
    const { context, tenant } = view
    const texts = webhookTexts[context.language]
    const valid = tenant.webhookTokens.filter(
      ({ kind, revokedAt }) => kind === 'cdr' && !revokedAt,
    ).length
    return html`<section class="card">
        <h2>${texts.title}</h2>
        <p class="quiet">${texts.help}</p>
        ${buttonAlert(view.failed, 'revoke')}
        <p>
          ${texts.last}:
          ${
            tenant.lastWebhookAt
              ? relativeTime(tenant.lastWebhookAt, new Date(), context.language)
              : texts.never
          }
        </p>
        <ul class="rows">
          ${tenant.webhookTokens.map(token => tokenRow(view, token, valid === 1 && token.kind === 'cdr'))}
        </ul>
        ${actionForm(context, {
          path: tenantPath(tenant.tenantId, 'webhook', 'fresh'),
          label: texts.add,
        })}
        <p class="quiet">${texts.popupHelp}</p>
        ${actionForm(context, {
          path: tenantPath(tenant.tenantId, 'webhook', 'popup'),
          label: texts.addPopup,
        })}
      </section>
      ${callLogCard(view)}`
  },
  once: ({ context: { language }, tenant: { tenantId } }, action, webhookToken) => {
    const texts = webhookTexts[language]
    return html`<section class="card">
      ${newUrl(language, webhookToken, action === 'popup' ? 'popup' : 'cdr')}
      <p>${action === 'fresh' && texts.oldUrls}</p>
      <p><a class="button" href="${tenantPath(tenantId, 'webhook')}">${texts.back}</a></p>
    </section>`
  },
  actions: {
    fresh: request => addUrl(request, 'cdr'),
    popup: request => addUrl(request, 'popup'),
    revoke: async ({ trx, context, tenantId, form }) => {
      const wanted = tenantToken.parse({
        tenantId,
        tokenId: formValue(form, 'tokenId'),
        force: formValue(form, 'force') === 'yes',
      })
      const { revoked } = await revokeToken(trx, context.signIn, wanted)
      const texts = webhookTexts[context.language]
      return { flash: revoked ? texts.revokedNow : texts.unchanged }
    },
  },
}

const webhookTexts = translations(
  {
    urls: { cdr: 'Webhook URL for Voicenter', popup: 'URL for the Pop-Up Screen' },
    once: 'The URL is shown only once. Copy it now. Keep it secret like a password: anyone who has it can report calls of this business.',
    url: 'URL',
    onlyHere: (address: string) =>
      `Only this machine can reach ${address}, and Voicenter cannot. Set PUBLIC_URL to the public address of this service, start it again, and create the URL then.`,
    nextSteps: 'Next steps',
    steps: [
      'In Voicenter’s CPanel, open Integrations, CDR Notification.',
      'Enter the URL and choose the method POST-JSON. A form works too, XML-RPC does not.',
      'Save, and call the business. A few minutes after the call, the page of the business shows that Voicenter reported it.',
    ],
    popupOnce:
      'The URL is shown only once. Copy it now. It cannot report calls, but it shows the names of callers and what they wrote: do not give it to people outside the business.',
    popupSteps: [
      'In Voicenter’s CPanel, open the Pop-Up Screen of each extension or number.',
      'Enter the URL and choose POST JSON. GET works too.',
      'Save, and call the business from a phone whose call was missed before. The agent’s screen shows whose phone it is.',
    ],
    popupHelp:
      'With the Pop-Up Screen, Voicenter reports a call while it lasts: no message is sent to a caller who is on the line, and the agent sees who calls.',
    addPopup: 'Create a URL for the Pop-Up Screen',
    title: 'Webhook URLs',
    help: 'Voicenter reports each call to a secret URL. You can create a new URL at any time. The old ones stay valid until you revoke them, so no call is lost.',
    last: 'Last call report',
    never: 'none yet',
    id: 'No.',
    created: 'Created',
    valid: 'valid',
    revoked: 'revoked',
    add: 'Create a new URL',
    revoke: 'Revoke…',
    revokeMeans:
      'If Voicenter still uses this URL, its reports will be rejected. First enter a new URL in the CPanel and wait for a report.',
    revokeLastMeans:
      'This is the last valid URL. Without it all reports are rejected and no messages are sent, until you enter a new URL in Voicenter’s CPanel.',
    force: 'I understand that all call reports will be rejected',
    revokeYes: 'Revoke the URL',
    revokedNow: 'The URL is revoked.',
    unchanged: 'No change: the URL was already revoked.',
    callLog: 'Lost call reports',
    callLogNone:
      'Not known: Ringback has no access to Voicenter’s call log of this business. With access, it finds and restores lost reports. The operator can add the access.',
    callLogLost: (lost: string, calls: string, percent: string) =>
      `${lost} of ${calls} calls (${percent}%) were not reported. They were restored from Voicenter’s call log.`,
    callLogError: (error: string) => `The last check failed: ${error}.`,
    oldUrls: 'The old URLs are still valid. Revoke them after a report came to the new one.',
    back: 'Back to the webhook URLs',
  },
  {
    urls: { cdr: 'כתובת ה־Webhook עבור Voicenter', popup: 'כתובת עבור Pop-Up Screen' },
    once: 'הכתובת מוצגת פעם אחת בלבד. יש להעתיק אותה עכשיו ולשמור עליה כמו על סיסמה: מי שהיא בידיו יכול לדווח על שיחות של העסק.',
    url: 'כתובת',
    onlyHere: address =>
      `רק המחשב הזה יכול להגיע אל \u2066${address}\u2069, ו־Voicenter לא. יש לקבוע ב־PUBLIC_URL את הכתובת הציבורית של השירות, להפעיל אותו מחדש, וליצור את הכתובת אז.`,
    nextSteps: 'השלבים הבאים',
    steps: [
      'ב־CPanel של Voicenter פותחים את Integrations, CDR Notification.',
      'מזינים את הכתובת ובוחרים בשיטה POST-JSON. גם טופס מתאים, XML-RPC לא.',
      'שומרים ומתקשרים לעסק. כמה דקות אחרי השיחה יופיע בדף העסק שהתקבל דיווח.',
    ],
    popupOnce:
      'הכתובת מוצגת פעם אחת בלבד. יש להעתיק אותה עכשיו. אי אפשר לדווח בה על שיחות, אבל היא מציגה שמות של מתקשרים ומה שכתבו: אין למסור אותה מחוץ לעסק.',
    popupSteps: [
      'ב־CPanel של Voicenter פותחים את Pop-Up Screen של כל שלוחה או מספר.',
      'מזינים את הכתובת ובוחרים ב־POST JSON. גם GET מתאים.',
      'שומרים ומתקשרים לעסק מטלפון של מי ששיחה קודמת שלו לא נענתה. על המסך של הנציג יופיע מי מתקשר.',
    ],
    popupHelp:
      'בעזרת Pop-Up Screen מתקבל דיווח על שיחה בזמן שהיא מתקיימת: לא נשלחת הודעה למי שנמצא על הקו, והנציג רואה מי מתקשר.',
    addPopup: 'יצירת כתובת עבור Pop-Up Screen',
    title: 'כתובות Webhook',
    help: 'Voicenter מדווחת על כל שיחה לכתובת סודית. אפשר ליצור כתובת חדשה בכל עת. הקודמות תקפות עד שמבטלים אותן, כדי ששום שיחה לא תאבד.',
    last: 'דיווח השיחה האחרון',
    never: 'עדיין אין',
    id: 'מס׳',
    created: 'נוצרה',
    valid: 'תקפה',
    revoked: 'בוטלה',
    add: 'יצירת כתובת חדשה',
    revoke: 'ביטול…',
    revokeMeans:
      'אם Voicenter עדיין משתמשת בכתובת הזאת, הדיווחים שלה יידחו. כדאי קודם להזין כתובת חדשה ב־CPanel ולחכות לדיווח.',
    revokeLastMeans:
      'זו הכתובת התקפה האחרונה. בלעדיה כל הדיווחים נדחים ולא נשלחות הודעות, עד שתוזן כתובת חדשה ב־CPanel של Voicenter.',
    force: 'ברור לי שכל דיווחי השיחות יידחו',
    revokeYes: 'ביטול הכתובת',
    revokedNow: 'הכתובת בוטלה.',
    unchanged: 'אין שינוי: הכתובת כבר בוטלה.',
    callLog: 'דיווחי שיחה שאבדו',
    callLogNone:
      'לא ידוע: ל־Ringback אין גישה ליומן השיחות של העסק ב־Voicenter. בעזרת גישה כזאת אפשר לשחזר דיווחים שאבדו. המפעיל יכול להוסיף אותה.',
    callLogLost: (lost, calls, percent) =>
      `על ${lost} מתוך ${calls} שיחות (${percent}%) לא התקבל דיווח. הן שוחזרו מיומן השיחות של Voicenter.`,
    callLogError: error => `הבדיקה האחרונה נכשלה: ${error}.`,
    oldUrls: 'הכתובות הקודמות עדיין תקפות. אחרי שמגיע דיווח דרך החדשה, אפשר לבטל אותן.',
    back: 'חזרה לכתובות ה־Webhook',
  },
)
