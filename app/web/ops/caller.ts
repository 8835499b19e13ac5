/** The card about one caller: whether they get messages at all, and the actions that change it. */
import { Router } from 'express'
import {
  addExclusion,
  addOptOut,
  exclusionInput,
  numberOfLead,
  removeExclusion,
  removeOptOut,
} from '../../privacy/do_not_contact.ts'
import { isByHand } from '../../outreach/opt_outs.ts'
import type { Context } from './access.ts'
import { orAbort } from './errors.ts'
import { actionForm, confirmForm, formValue, input, returnPath } from './forms.ts'
import { html, type Html } from './html.ts'
import { translations } from './language.ts'
import { action, idParam } from './page.ts'

type Caller = {
  leadId: string
  phone: string
  optOut: { source: string } | null
  exclusion: { note: string | null } | null
}

const optOutRow = ({ leadId, phone, optOut }: Caller, context: Context): Html => {
  const texts = callerTexts[context.language].optOut
  const path = `/ops/leads/${leadId}/opt-out`
  if (optOut === null)
    return confirmForm(context, {
      id: 'opt-out',
      open: texts.add,
      warning: texts.means,
      path,
      label: texts.yes,
      about: phone,
    })
  if (!isByHand(optOut.source)) return html`<span>${texts.byPerson}</span>`
  return html`<span>${texts.byHand}</span> ${actionForm(context, {
      path: `${path}/remove`,
      label: texts.remove,
      about: phone,
    })}`
}

const exclusionRow = ({ leadId, phone, exclusion }: Caller, context: Context): Html => {
  const texts = callerTexts[context.language].exclusion
  const path = `/ops/leads/${leadId}/exclusion`
  if (exclusion === null)
    return html`<details id="exclude">
      <summary>${texts.add}</summary>
      <p>${texts.means}</p>
      ${actionForm(
        context,
        { path, label: texts.yes, about: phone },
        input({ name: 'note', label: texts.note, help: texts.noteHelp }),
      )}
    </details>`
  return html`<span
      >${texts.is}${exclusion.note !== null && html` <bdi>${exclusion.note}</bdi>`}</span
    >
    ${actionForm(context, { path: `${path}/remove`, label: texts.remove, about: phone })}`
}

export const callerCard = (caller: Caller, context: Context): Html =>
  html`<section class="card">
    <h2>${callerTexts[context.language].title}</h2>
    <ul class="rows">
      <li>${optOutRow(caller, context)}</li>
      <li>${exclusionRow(caller, context)}</li>
    </ul>
  </section>`

export const callerPages = Router()

callerPages.post(
  '/leads/:id/opt-out',
  action(async (trx, context, form) => {
    const { done } = callerTexts[context.language].optOut
    const person = await orAbort({}, () => numberOfLead(trx, idParam(context), context.tenantScope))
    await addOptOut(trx, context.signIn, person)
    return { flash: done.added, to: returnPath(form) }
  }),
)

callerPages.post(
  '/leads/:id/opt-out/remove',
  action(async (trx, context, form) => {
    const { byPerson, done } = callerTexts[context.language].optOut
    const refused = { opted_out_by_person: byPerson }
    const person = await orAbort({}, () => numberOfLead(trx, idParam(context), context.tenantScope))
    await orAbort(refused, () => removeOptOut(trx, context.signIn, person))
    return { flash: done.removed, to: returnPath(form) }
  }),
)

callerPages.post(
  '/leads/:id/exclusion',
  action(async (trx, context, form) => {
    const { done } = callerTexts[context.language].exclusion
    const person = await orAbort({}, () => numberOfLead(trx, idParam(context), context.tenantScope))
    const wanted = exclusionInput.parse({ ...person, note: formValue(form, 'note') })
    await addExclusion(trx, context.signIn, wanted)
    return { flash: done.added, to: returnPath(form) }
  }),
)

callerPages.post(
  '/leads/:id/exclusion/remove',
  action(async (trx, context, form) => {
    const { done } = callerTexts[context.language].exclusion
    const person = await orAbort({}, () => numberOfLead(trx, idParam(context), context.tenantScope))
    await removeExclusion(trx, context.signIn, person)
    return { flash: done.removed, to: returnPath(form) }
  }),
)

const callerTexts = translations(
  {
    title: 'This caller',
    optOut: {
      add: 'Never send messages to this caller…',
      means:
        'For a caller who asked for no messages. Messages that wait are cancelled, and later calls bring none. The caller gets no confirmation.',
      yes: 'Yes, send no messages',
      byHand: 'The business noted that this caller wants no messages.',
      byPerson:
        'This caller asked for no messages. Only the caller can end this, with a message that says START.',
      remove: 'Allow messages again',
      done: {
        added: 'No more messages are sent to this caller.',
        removed: 'Later missed calls of this caller bring messages again.',
      },
    },
    exclusion: {
      add: 'Exclude this number…',
      means:
        'For staff and suppliers. They get no messages, are not listed as waiting, and cause no notices. Messages that wait are cancelled.',
      note: 'Note',
      noteHelp: 'Who it is, such as “night guard”.',
      yes: 'Exclude the number',
      is: 'This number is excluded.',
      remove: 'End the exclusion',
      done: {
        added: 'The number is excluded.',
        removed: 'The number is no longer excluded.',
      },
    },
  },
  {
    title: 'המספר הזה',
    optOut: {
      add: 'הפסקת ההודעות למספר הזה לתמיד…',
      means:
        'אם התקבלה בקשה לא לשלוח הודעות. הודעות ממתינות יבוטלו, וגם אחרי שיחות הבאות לא תישלח הודעה. לא יישלח אישור.',
      yes: 'כן, הפסקת ההודעות',
      byHand: 'העסק סימן שאין לשלוח הודעות למספר הזה.',
      byPerson:
        'מהמספר הזה התקבלה בקשה לא לשלוח הודעות. רק הודעת ״התחל״ מהמספר הזה יכולה לבטל אותה.',
      remove: 'חידוש ההודעות',
      done: {
        added: 'לא יישלחו עוד הודעות למספר הזה.',
        removed: 'שיחות הבאות מהמספר הזה שלא ייענו יקבלו שוב הודעה.',
      },
    },
    exclusion: {
      add: 'החרגת המספר הזה…',
      means:
        'לאנשי צוות ולספקים. לא נשלחות אליהם הודעות, הם לא מופיעים ברשימת הממתינים ולא נשלחים עליהם עדכונים. הודעות ממתינות יבוטלו.',
      note: 'הערה',
      noteHelp: 'מי זה, למשל ״השומר״.',
      yes: 'החרגת המספר',
      is: 'המספר הזה מוחרג.',
      remove: 'ביטול ההחרגה',
      done: {
        added: 'המספר מוחרג.',
        removed: 'המספר לא מוחרג עוד.',
      },
    },
  },
)
