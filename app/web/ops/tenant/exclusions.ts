/** The excluded numbers of a tenant: staff and suppliers. */
import {
  addExclusion,
  type Exclusion,
  exclusionsInput,
  listExclusions,
  removedExclusion,
  removeExclusion,
} from '../../../privacy/do_not_contact.ts'
import { dateTime, telephone } from '../format.ts'
import {
  actionForm,
  buttonAlert,
  formAlert,
  formLines,
  formValue,
  input,
  textArea,
} from '../forms.ts'
import { html, type Html } from '../html.ts'
import { translations } from '../language.ts'
import { failedForm, type Section, sectionForm, tenantPath, type View } from './section.ts'

/** More are in the export. */
const MAX_SHOWN = 200

const listCard = ({ context, tenant, failed }: View, exclusions: Exclusion[]): Html => {
  const texts = exclusionsTexts[context.language]
  return html`<section class="card">
    <h2>${texts.title}</h2>
    <p class="quiet">${texts.help}</p>
    ${buttonAlert(failed, 'remove')}
    ${exclusions.length === 0 && html`<p class="empty">${texts.none}</p>`}
    <ul class="rows">
      ${exclusions.slice(0, MAX_SHOWN).map(
        ({ phone, note, createdAt }) =>
          html`<li>
            <span
              ><strong>${telephone(phone)}</strong
              ><br />${note !== null && html`<bdi>${note}</bdi><br />`}<small
                >${texts.since} ${dateTime(createdAt, context.language, tenant.timezone)}</small
              ></span
            >
            ${actionForm(context, {
              path: tenantPath(tenant.tenantId, 'exclusions', 'remove'),
              label: texts.remove,
              fields: { number: phone },
              about: phone,
            })}
          </li>`,
      )}
    </ul>
    ${exclusions.length > MAX_SHOWN && html`<p class="quiet">${texts.more(MAX_SHOWN)}</p>`}
  </section>`
}

const addCard = (view: View): Html => {
  const texts = exclusionsTexts[view.context.language]
  const failed = failedForm(view, 'add')
  return html`<section class="card">
    <h2>${texts.add}</h2>
    ${formAlert(view.context.language, view.failed, 'add')}
    ${sectionForm(
      view,
      'exclusions',
      'add',
      html`${textArea({
          name: 'numbers',
          label: texts.numbers,
          help: texts.numbersHelp,
          rows: 3,
          failed,
        })}
        ${input({ name: 'note', label: texts.note, help: texts.noteHelp, failed })}
        <button class="main">${texts.submit}</button>`,
    )}
  </section>`
}

export const exclusions: Section = {
  show: async view => {
    const shown = await listExclusions(view.trx, view.tenant.tenantId, MAX_SHOWN + 1)
    return html`${listCard(view, shown)} ${addCard(view)}`
  },
  actions: {
    add: async ({ trx, context, tenantId, form }) => {
      const { numbers, note } = exclusionsInput.parse({
        tenantId,
        numbers: formLines(form, 'numbers'),
        note: formValue(form, 'note'),
      })
      let added = 0
      for (const number of numbers)
        if ((await addExclusion(trx, context.signIn, { tenantId, number, note })).added) added++
      return { flash: exclusionsTexts[context.language].added(added) }
    },
    remove: async ({ trx, context, tenantId, form }) => {
      const number = formValue(form, 'number')
      await removeExclusion(trx, context.signIn, removedExclusion.parse({ tenantId, number }))
      return { flash: exclusionsTexts[context.language].removed }
    },
  },
}

const exclusionsTexts = translations(
  {
    title: 'Excluded numbers',
    help: 'Staff and suppliers. They get no messages, are not listed as waiting, and cause no notices.',
    none: 'No number is excluded.',
    since: 'Excluded',
    remove: 'Remove',
    more: (shown: number) =>
      `Only the last ${shown} are shown. Export has all. To remove another one, open a call of that number.`,
    add: 'Exclude numbers',
    numbers: 'Numbers',
    numbersHelp: 'One per line, in any common form. Messages that wait for them are cancelled.',
    note: 'Note',
    noteHelp: 'Who it is, such as “night guard”.',
    submit: 'Exclude',
    added: (count: number) =>
      count === 0
        ? 'No change: these numbers were already excluded.'
        : count === 1
          ? 'One number is now excluded.'
          : `${count} numbers are now excluded.`,
    removed: 'The number is no longer excluded.',
  },
  {
    title: 'מספרים מוחרגים',
    help: 'אנשי צוות וספקים. לא נשלחות אליהם הודעות, הם לא מופיעים ברשימת הממתינים ולא נשלחים עליהם עדכונים.',
    none: 'אין מספרים מוחרגים.',
    since: 'מוחרג מאז',
    remove: 'הסרה',
    more: shown =>
      `מוצגים רק ${shown} האחרונים. כולם נמצאים בייצוא. להסרה של מספר אחר אפשר לפתוח שיחה מהמספר הזה.`,
    add: 'החרגת מספרים',
    numbers: 'מספרים',
    numbersHelp: 'אחד בכל שורה, בכל צורה מקובלת. הודעות שממתינות להם יבוטלו.',
    note: 'הערה',
    noteHelp: 'מי זה, למשל ״השומר״.',
    submit: 'החרגה',
    added: count =>
      count === 0
        ? 'אין שינוי: המספרים כבר היו מוחרגים.'
        : count === 1
          ? 'מספר אחד מוחרג מעכשיו.'
          : `${count} מספרים מוחרגים מעכשיו.`,
    removed: 'המספר לא מוחרג עוד.',
  },
)
