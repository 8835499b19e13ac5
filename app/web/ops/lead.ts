/** The page of one person: the conversation, and the forms of the owner's actions. */
import { type RequestHandler, Router } from 'express'
import { opsDb, type Trx } from '../../db/kysely.ts'
import {
  type LeadKey,
  markRead,
  noteInput,
  outcomeInput,
  setNote,
  setOutcome,
} from '../../outreach/lead_actions.ts'
import { findPerson, type PersonDetails } from '../../outreach/people_search.ts'
import {
  readReplyState,
  replyInput,
  type ReplyState,
  sendManual,
} from '../../outreach/reply_by_hand.ts'
import { loadThread, THREAD_CURSOR } from '../../outreach/thread.ts'
import { OUTCOMES } from '../../states.ts'
import { type Context, signedIn } from './access.ts'
import { callerCard } from './caller.ts'
import { conversation } from './conversation.ts'
import { abort } from './errors.ts'
import { clockTime, dayName, dayTime, telephone } from './format.ts'
import {
  actionForm,
  changedHere,
  fieldProblem,
  type FailedForm,
  formAlert,
  formValue,
  handleForm,
  input,
  type Problems,
  radio,
  returnPath,
  shownInput,
  textArea,
} from './forms.ts'
import { html, type Html } from './html.ts'
import { leadKey, outcomeBadge, personName } from './leads.ts'
import { leadTexts } from './locales/leads.ts'
import { action, cursorParam, idParam, isId, noteAction, page } from './page.ts'
import type { Page } from './layout.ts'
import type { Form } from './sign_in_form.ts'

const PAGE_SIZE = 60

/** Says until when the owner may write, or why they may not. */
const windowText = (
  { now, timezone }: PersonDetails,
  { refusal, windowOpenUntil: until }: ReplyState,
  { language }: Context,
): string => {
  const { window, notSent } = leadTexts[language]
  if (refusal !== null && refusal !== 'window_closed') return notSent[refusal] ?? ''
  if (until === null) return window.never
  if (refusal !== null) return window.closed
  const time = clockTime(until, language, timezone)
  const day = dayName(until, now, language, timezone)
  return window.open(
    day === dayName(now, now, language, timezone) ? time : `${day.toLowerCase()} ${time}`,
  )
}

/**
 * The form for a reply. The key changes with each reply, so each form is sent at most once. A text that could not be sent
 * stays, so that the owner can copy it.
 */
const replySection = (
  person: PersonDetails,
  reply: ReplyState,
  failed: FailedForm | null,
  context: Context,
): Html => {
  const texts = leadTexts[context.language]
  const { leadId } = person
  const failedHere = failed?.action === 'reply' ? failed : null
  return html`<section id="reply" class="card">
    <p>${windowText(person, reply, context)}</p>
    ${
      (reply.refusal === null || failedHere) &&
      html`<form method="post" action="/ops/leads/${leadId}/reply" data-draft="${leadId}">
        ${csrf(context)} ${formAlert(context.language, failed, 'reply')}
        <input type="hidden" name="key" value="reply-${leadId}-${reply.lastReplyId}" />
        ${textArea({
          name: 'text',
          label: texts.reply,
          rows: 3,
          direction: 'auto',
          failed: failedHere,
        })}
        <button class="main">${texts.send}</button>
      </form>`
    }
  </section>`
}

/** On a phone it stays at the bottom of the screen, within reach of a thumb. */
const actionBar = (person: PersonDetails, context: Context): Html => {
  const texts = leadTexts[context.language]
  const { leadId, phone, name, calledBackAt, waits } = person
  return html`<div class="actions">
    <a class="button main" href="tel:${phone}">${texts.call}</a>
    <a
      class="button"
      href="https://wa.me/${phone.replace(/\D/g, '')}"
      rel="noreferrer"
      aria-label="${texts.writeAbout}"
      >${texts.write}</a
    >
    ${
      waits === null && calledBackAt !== null
        ? actionForm(context, { path: `/ops/leads/${leadId}/called-back/undo`, label: texts.undo })
        : actionForm(context, {
            path: `/ops/leads/${leadId}/called-back`,
            label: texts.calledBack,
            about: name ?? phone,
          })
    }
  </div>`
}

const csrf = ({ formToken, url }: Context): Html =>
  html`<input type="hidden" name="form" value="${formToken}" />
    <input type="hidden" name="back" value="${url}" />`

type Stored = Pick<PersonDetails, 'outcome' | 'outcomeValue' | 'note'>
const noteFields = ({ note }: Pick<Stored, 'note'>) => ({ note: note ?? '' })
/** One field, because a value means nothing without its outcome. */
const outcomeFields = ({ outcome, outcomeValue }: Omit<Stored, 'note'>) => ({
  outcome: [outcome, outcomeValue === null ? null : Number(outcomeValue)],
})

/** Locks the lead, and reads what its forms show. */
const readStored = async (trx: Trx, { tenantId, leadId }: LeadKey): Promise<Stored> => {
  const stored = await trx
    .selectFrom('leads')
    .select(['outcome', 'outcome_value as outcomeValue', 'note'])
    .where('tenant_id', '=', tenantId)
    .where('id', '=', leadId)
    .forUpdate()
    .executeTakeFirst()
  return stored ?? abort(404)
}

const outcomeText = ({ outcome, outcomeValue }: PersonDetails, { language }: Context): string => {
  const { outcomes, noOutcome } = leadTexts[language]
  return `${outcome ? outcomes[outcome] : noOutcome} ${outcomeValue?.replace(/\.00$/, '') ?? ''}`
}

const outcomeForm = (person: PersonDetails, failed: FailedForm | null, context: Context): Html => {
  const texts = leadTexts[context.language]
  const failedHere = failed?.action === 'outcome' ? failed : null
  const chosen = failedHere ? formValue(failedHere.entered, 'outcome') : (person.outcome ?? '')
  return html`<section class="card" id="outcome">
    <form method="post" action="/ops/leads/${person.leadId}/outcome">
      ${csrf(context)} ${shownInput(outcomeFields(person), failedHere)}
      ${formAlert(context.language, failed, 'outcome')}
      <fieldset>
        <legend>${texts.outcome}</legend>
        <div class="choices">
          ${OUTCOMES.map(outcome => radio('outcome', outcome, texts.outcomes[outcome], chosen === outcome))}
          ${radio('outcome', '', texts.noOutcome, chosen === '')}
        </div>
        ${fieldProblem(failedHere, 'outcome', outcomeText(person, context))}
      </fieldset>
      ${input({
        name: 'value',
        label: texts.value,
        help: texts.valueHelp,
        direction: 'ltr',
        keyboard: 'decimal',
        value: person.outcomeValue?.replace(/\.00$/, '') ?? null,
        failed: failedHere,
      })}
      <p class="quiet">${texts.outcomeHelp}</p>
      <button>${texts.save}</button>
    </form>
  </section>`
}

const noteForm = (person: PersonDetails, failed: FailedForm | null, context: Context): Html => {
  const texts = leadTexts[context.language]
  const failedHere = failed?.action === 'note' ? failed : null
  return html`<section class="card" id="note">
    <form method="post" action="/ops/leads/${person.leadId}/note">
      ${csrf(context)} ${shownInput(noteFields(person), failedHere)}
      ${formAlert(context.language, failed, 'note')}
      ${textArea({
        name: 'note',
        label: texts.note,
        help: texts.noteHelp,
        rows: 3,
        direction: 'auto',
        value: person.note,
        failed: failedHere,
      })}
      <button>${texts.save}</button>
    </form>
  </section>`
}

const status = (person: PersonDetails, context: Context): Html => {
  const { language } = context
  const texts = leadTexts[language]
  const { waits, since, now, timezone, state, optOutSource, calledBackAt } = person
  return html`<p class="row">
    ${
      waits
        ? html`<span class="badge warn">${texts.waits[waits]}</span>
            ${since && dayTime(since, now, language, timezone)}`
        : html`<span class="badge"
            >${optOutSource === null ? texts.states[state] : texts.states.opted_out}</span
          >`
    }
    ${person.isExcluded && html`<span class="badge">${texts.excluded}</span>`}
    ${outcomeBadge(person, context)}
    ${
      waits === null &&
      calledBackAt &&
      html`<small>${texts.calledBackAt}: ${dayTime(calledBackAt, now, language, timezone)}</small>`
    }
  </p>`
}

const personPage = async (
  trx: Trx,
  context: Context,
  failed: FailedForm | null = null,
): Promise<Page> => {
  const { language, tenantScope } = context
  const texts = leadTexts[language]
  const leadId = idParam(context)
  const before = cursorParam(context, THREAD_CURSOR)
  const person = (await findPerson(trx, leadId, tenantScope)) ?? abort(404)
  const found = await loadThread(trx, person, { before, limit: PAGE_SIZE + 1 })
  const entries = found.slice(-PAGE_SIZE)
  const hasEarlier = found.length > PAGE_SIZE
  const reply = (await readReplyState(trx, person)) ?? abort(404)
  const { phone, name, tenant } = person
  return {
    name: 'leads',
    title: name ?? phone,
    live: failed === null && before === null,
    body: html`<a class="alone" href="/ops/leads">${texts.back}</a>
      <h1 class="person-name"><span>${personName(person)}</span></h1>
      <p class="row">
        ${name !== null && html`<a class="call alone" href="tel:${phone}">${telephone(phone)}</a>`}
        ${tenantScope === null && html`<span class="quiet"><bdi>${tenant}</bdi></span>`}
      </p>
      ${status(person, context)}
      <div class="person-page">
        <div>
          <section aria-label="${texts.thread}">
            ${hasEarlier && html`<p><a class="button" href="/ops/leads/${leadId}?before=${entries[0]?.cursor}">${texts.earlier}</a></p>`}
            ${entries.length === 0 ? html`<p class="empty">${texts.empty}</p>` : conversation(entries, person, context)}
            ${before !== null && html`<p><a class="button" href="/ops/leads/${leadId}#latest">${texts.newest}</a></p>`}
          </section>
          ${before === null && replySection(person, reply, failed, context)}
        </div>
        <div>
          ${outcomeForm(person, failed, context)} ${noteForm(person, failed, context)}
          ${callerCard(
            {
              leadId,
              phone,
              optOut: person.optOutSource === null ? null : { source: person.optOutSource },
              exclusion: person.isExcluded ? { note: person.exclusionNote } : null,
            },
            context,
          )}
          <p>
            <a class="alone" href="/ops/calls?${new URLSearchParams({ number: phone }).toString()}"
              >${texts.allCalls}</a
            >
          </p>
        </div>
      </div>
      ${actionBar(person, context)}`,
  }
}

/** Marks the entries as seen by the owner. The visits of the operator do not count. */
const noteSeen: RequestHandler = async (req, res, next) => {
  const { tenantScope } = signedIn(req).context
  const { id: leadId } = req.params
  if (tenantScope !== null && req.method === 'GET' && typeof leadId === 'string' && isId(leadId)) {
    await opsDb.transaction().execute(trx => markRead(trx, { tenantId: tenantScope, leadId }))
    noteAction(res)
  }
  next()
}

export const leadPages = Router()

leadPages.get('/leads/:id', noteSeen, page(personPage))

const shownWith =
  (name: string) =>
  (trx: Trx, context: Context, form: Form, problems: Problems = {}): Promise<Page> =>
    personPage(trx, context, { action: name, problems, entered: form })

leadPages.post(
  '/leads/:id/reply',
  action(
    async (trx, context, form) => {
      const person = await leadKey(trx, context)
      const { notSent, replySent } = leadTexts[context.language]
      const showAgain = (problems: Problems) => shownWith('reply')(trx, context, form, problems)
      return handleForm(
        trx,
        context.language,
        async () => {
          const text = formValue(form, 'text')
          const wanted = replyInput.parse({ ...person, text, key: formValue(form, 'key') })
          const sent = await sendManual(trx, context.signIn, wanted)
          if (!('refused' in sent)) return { flash: replySent, to: returnPath(form) }
          // Its row in the audit log must be committed, so this is no error.
          return { ...(await showAgain({ '': notSent[sent.refused] ?? '' })), status: 409 }
        },
        showAgain,
      )
    },
    { showAgain: shownWith('reply') },
  ),
)

/** `1,200.50 ₪` as a number. Anything else is no amount, and the schema refuses it. */
const amount = (form: Form): number | null => {
  const written = (formValue(form, 'value') ?? '').replace(/[\s,₪]|\p{Cf}/gu, '')
  return written === '' ? null : /^\d+(\.\d+)?$/.test(written) ? Number(written) : NaN
}

leadPages.post(
  '/leads/:id/outcome',
  action(
    async (trx, context, form) => {
      const key = await leadKey(trx, context)
      const chosen = formValue(form, 'outcome') ?? ''
      return handleForm(
        trx,
        context.language,
        async () => {
          const value = chosen === 'won' ? amount(form) : null
          const wanted = outcomeInput.parse({ ...key, outcome: chosen || null, value })
          const entered = { outcome: [wanted.outcome, value] }
          const changed = changedHere(form, outcomeFields(await readStored(trx, key)), entered)
          if (changed.length > 0) await setOutcome(trx, context.signIn, wanted)
          return { flash: leadTexts[context.language].outcomeSaved, to: returnPath(form) }
        },
        problems => shownWith('outcome')(trx, context, form, problems),
      )
    },
    { showAgain: shownWith('outcome') },
  ),
)

leadPages.post(
  '/leads/:id/note',
  action(
    async (trx, context, form) => {
      const key = await leadKey(trx, context)
      return handleForm(
        trx,
        context.language,
        async () => {
          const wanted = noteInput.parse({ ...key, note: formValue(form, 'note') ?? '' })
          const { note } = wanted
          const changed = changedHere(form, noteFields(await readStored(trx, key)), { note })
          if (changed.length > 0) await setNote(trx, context.signIn, wanted)
          return { flash: leadTexts[context.language].noteSaved, to: returnPath(form) }
        },
        // The note of an excluded number has another limit, and formTexts names that one.
        problems =>
          shownWith('note')(
            trx,
            context,
            form,
            typeof problems['note'] === 'string'
              ? { note: leadTexts[context.language].noteTooLong }
              : problems,
          ),
      )
    },
    { showAgain: shownWith('note') },
  ),
)
