/** The numbers that customers call. */
import { loadUnknownNumbers, type UnknownNumber } from '../../../tenants/checklist_facts.ts'
import { addNumber, confirmNumber, removeNumber, tenantNumber } from '../../../tenants/tenants.ts'
import { dayTime, formatSpan, telephone } from '../format.ts'
import { actionForm, buttonAlert, confirmForm, formAlert, formValue, input } from '../forms.ts'
import { html, type Html } from '../html.ts'
import { translations } from '../language.ts'
import type { Form } from '../sign_in_form.ts'
import { failedForm, type Section, sectionForm, tenantPath, type View } from './section.ts'

const numbersCard = ({ context, tenant, failed }: View): Html => {
  const texts = numbersTexts[context.language]
  const at = (time: Date) => dayTime(time, new Date(), context.language, tenant.timezone)
  return html`<section class="card">
    <h2>${texts.title}</h2>
    ${buttonAlert(failed, 'remove')}
    <ul class="rows">
      ${tenant.numbers.map(
        ({ phone, createdAt, seenAt, confirmedAt }) =>
          html`<li>
            <span
              ><strong>${telephone(phone)}</strong><br /><small
                >${texts.since} ${at(createdAt)}.
                ${
                  seenAt
                    ? html`${texts.seen} ${at(seenAt)}`
                    : confirmedAt
                      ? html`${texts.confirmedAt} ${at(confirmedAt)}`
                      : texts.unseen
                }</small
              ></span
            >
            ${
              !seenAt &&
              !confirmedAt &&
              actionForm(context, {
                path: tenantPath(tenant.tenantId, 'numbers', 'confirm'),
                label: texts.confirm,
                fields: { phone },
                about: phone,
              })
            }
            ${
              context.tenantScope === null &&
              confirmForm(context, {
                id: `remove-${phone.replace(/\W/g, '')}`,
                open: texts.remove,
                warning: texts.removeMeans,
                path: tenantPath(tenant.tenantId, 'numbers', 'remove'),
                label: texts.removeYes,
                fields: { phone },
                about: phone,
              })
            }
          </li>`,
      )}
    </ul>
    ${context.tenantScope !== null && html`<p class="quiet">${texts.askOperator}</p>`}
  </section>`
}

const unknownCard = ({ context, tenant }: View, numbers: UnknownNumber[]): Html => {
  const { language, tenantScope } = context
  const texts = numbersTexts[language]
  return html`<section class="card">
    <h2>${texts.unknown}</h2>
    ${
      tenantScope === null &&
      html`<p class="quiet">${texts.unknownHelp(formatSpan(language, tenant.oldestCall))}</p>`
    }
    <ul class="rows">
      ${numbers.map(
        ({ phone, calls }) =>
          html`<li>
            <span><strong>${telephone(phone)}</strong> ${texts.calls(calls)}</span>
            ${
              tenantScope === null &&
              actionForm(context, {
                path: tenantPath(tenant.tenantId, 'numbers', 'add'),
                label: texts.submit,
                fields: { phone },
                about: phone,
              })
            }
          </li>`,
      )}
    </ul>
  </section>`
}

const addCard = (view: View): Html => {
  const texts = numbersTexts[view.context.language]
  return html`<section class="card">
    <h2>${texts.add}</h2>
    ${formAlert(view.context.language, view.failed, 'add')}
    ${sectionForm(
      view,
      'numbers',
      'add',
      html`${input({
          name: 'phone',
          label: texts.phone,
          help: texts.phoneHelp,
          kind: 'tel',
          direction: 'ltr',
          failed: failedForm(view, 'add'),
        })} <button class="main">${texts.submit}</button>`,
    )}
  </section>`
}

const parseNumber = (tenantId: string, form: Form) =>
  tenantNumber.parse({ tenantId, phone: formValue(form, 'phone') ?? '' })

export const numbers: Section = {
  show: async view => {
    const unknown = await loadUnknownNumbers(view.trx, view.tenant.tenantId)
    return html`${numbersCard(view)} ${unknown.length > 0 && unknownCard(view, unknown)}
    ${view.context.tenantScope === null && addCard(view)}`
  },
  actions: {
    add: async ({ trx, context, tenantId, form }) => {
      const texts = numbersTexts[context.language]
      const result = await addNumber(trx, context.signIn, parseNumber(tenantId, form))
      return { flash: result.added ? texts.added(result.reclassified) : texts.unchanged }
    },
    confirm: async ({ trx, context, tenantId, form }) => {
      await confirmNumber(trx, context.signIn, parseNumber(tenantId, form))
      return { flash: numbersTexts[context.language].confirmed }
    },
    remove: async ({ trx, context, tenantId, form }) => {
      await removeNumber(trx, context.signIn, parseNumber(tenantId, form))
      return { flash: numbersTexts[context.language].removed }
    },
  },
}

const numbersTexts = translations(
  {
    title: 'Numbers that customers dial',
    since: 'Added',
    seen: 'First call:',
    confirmedAt: 'Confirmed by hand:',
    unseen: 'No call to it has come yet.',
    confirm: 'Customers dial this number',
    confirmed: 'The number is confirmed.',
    add: 'Add a number',
    phone: 'Number',
    phoneHelp: 'In any common form: 0722776772, *2700.',
    submit: 'Add',
    added: (calls: number) =>
      calls === 0
        ? 'The number was added.'
        : calls === 1
          ? 'The number was added. One earlier call will be decided again.'
          : `The number was added. ${calls} earlier calls will be decided again.`,
    unchanged: 'No change: the number was already here.',
    remove: 'Remove…',
    removeMeans:
      'New calls to this number will not belong to the business, and no messages are sent for them. Messages for earlier calls are still sent.',
    removeYes: 'Remove the number',
    removed: 'The number was removed.',
    unknown: 'Customers called these numbers, which belong to no business here',
    unknownHelp: (oldest: string) =>
      `When you add a number, its calls are decided again. Callers of missed calls in the last ${oldest} may get a message at once.`,
    calls: (count: number) => (count === 1 ? 'one call' : `${count} calls`),
    askOperator: 'Only the operator can add numbers, because they decide who gets which calls.',
  },
  {
    title: 'המספרים שהלקוחות מחייגים',
    since: 'נוסף',
    seen: 'השיחה הראשונה:',
    confirmedAt: 'אושר ידנית:',
    unseen: 'עוד לא התקבלה אליו שיחה.',
    confirm: 'הלקוחות מחייגים את המספר הזה',
    confirmed: 'המספר אושר.',
    add: 'הוספת מספר',
    phone: 'מספר',
    phoneHelp: 'בכל צורה מקובלת: 0722776772, \u200e*2700.',
    submit: 'הוספה',
    added: calls =>
      calls === 0
        ? 'המספר נוסף.'
        : calls === 1
          ? 'המספר נוסף. שיחה קודמת אחת תיבדק שוב.'
          : `המספר נוסף. ${calls} שיחות קודמות ייבדקו שוב.`,
    unchanged: 'אין שינוי: המספר כבר היה כאן.',
    remove: 'הסרה…',
    removeMeans:
      'שיחות חדשות למספר הזה לא ישויכו לעסק, ולא יישלחו עליהן הודעות. הודעות על שיחות קודמות עדיין יישלחו.',
    removeYes: 'הסרת המספר',
    removed: 'המספר הוסר.',
    unknown: 'לקוחות התקשרו למספרים האלה, שלא שייכים לאף עסק כאן',
    unknownHelp: oldest =>
      `אחרי הוספת מספר, השיחות אליו נבדקות שוב. על שיחות שלא נענו ב־${oldest} האחרונות אולי תישלח הודעה מיד.`,
    calls: count => (count === 1 ? 'שיחה אחת' : `${count} שיחות`),
    askOperator: 'רק המפעיל יכול להוסיף מספרים, כי הם קובעים לאיזה עסק שייכת כל שיחה.',
  },
)
