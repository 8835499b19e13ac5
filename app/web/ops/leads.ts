/** The people who wait for an answer, and the search among all people. */
import { Router } from 'express'
import { z } from 'zod'
import {
  type Person,
  PERSON_CURSOR,
  type WaitReason,
  waitingPeople,
} from '../../outreach/people.ts'
import {
  findPeople,
  findPerson,
  MAX_FOUND,
  peopleWithOutcome,
} from '../../outreach/people_search.ts'
import { undoCalledBack, markCalledBack } from '../../outreach/lead_actions.ts'
import { numberOfLead } from '../../privacy/do_not_contact.ts'
import { OUTCOMES } from '../../states.ts'
import type { Context } from './access.ts'
import { orAbort } from './errors.ts'
import { dayTime, DEFAULT_TIMEZONE, telephone, telephoneText } from './format.ts'
import { actionForm, returnPath } from './forms.ts'
import { html, type Html } from './html.ts'
import { leadTexts } from './locales/leads.ts'
import { explainCall } from './why.ts'
import { action, cursorParam, idParam, isId, reportPage, tenantFilter, tenantsFor } from './page.ts'

const PAGE_SIZE = 25
const MAX_SEARCH = 100
const MAX_SNIPPET = 160

/** Their name, or else their number. */
export const personName = ({ name, phone }: { name: string | null; phone: string }): Html =>
  name === null ? telephone(phone) : html`<bdi>${name}</bdi>`

/** The same with their number, as plain text. */
const personText = ({ name, phone }: { name: string | null; phone: string }): string =>
  name === null ? telephoneText(phone) : `\u2068${name}\u2069, ${telephoneText(phone)}`

/** Won, with the amount, or lost. */
export const outcomeBadge = (
  { outcome, outcomeValue }: Pick<Person, 'outcome' | 'outcomeValue'>,
  { language }: Context,
): Html | false =>
  outcome !== null &&
  html`<span class="badge ${outcome === 'won' && 'good'}"
    >${leadTexts[language].outcomes[outcome]}${outcomeValue !== null && html` <bdi dir="ltr">₪${outcomeValue.replace(/\.00$/, '')}</bdi>`}</span
  >`

/** What they did last, in one line. */
const snippet = (person: Person, { language }: Context): Html => {
  const texts = leadTexts[language]
  const { waits, text, wroteAt, calledAt, calls } = person
  if (waits === 'asked') return html`${texts.asked}`
  const hasWritten = wroteAt !== null && (calledAt === null || wroteAt > calledAt)
  if (waits === 'wrote' || (waits === null && hasWritten))
    return text === null
      ? html`${texts.noText}`
      : html`<bdi>${text.slice(0, MAX_SNIPPET).replace(/[\ud800-\udbff]$/, '')}</bdi>`
  const outcome = { verdict: 'missed', reason: null, ...person }
  return person.missedCallId === null
    ? html`${texts.calls(calls)}`
    : html`${texts.calls(calls)}. ${explainCall(language, outcome)}`
}

const personRow = (person: Person, context: Context): Html => {
  const { language, tenantScope } = context
  const texts = leadTexts[language]
  const { leadId, phone, name, since, now, timezone, waits } = person
  const isNew = person.isUnread && waits !== null
  const hasWritten = waits === 'wrote'
  // A row with three buttons has no room for a number.
  const showsNumber = name !== null && !hasWritten
  return html`<li class="person ${isNew && 'unread'}">
    <a class="open" href="/ops/leads/${leadId}#latest">
      <strong>${personName(person)}</strong>
      ${isNew && html`<span class="badge new">${texts.unread}</span>`}
      ${waits === null && outcomeBadge(person, context)}
      ${since && html`<span class="when">${dayTime(since, now, language, timezone)}</span>`}
      <span class="snippet">${snippet(person, context)}</span>
      ${tenantScope === null && html`<small class="snippet"><bdi>${person.tenant}</bdi></small>`}
    </a>
    <div class="row">
      ${
        hasWritten &&
        html`<a
          class="button main"
          href="/ops/leads/${leadId}#reply"
          aria-label="${texts.answerTo(name ?? telephoneText(phone))}"
          >${texts.answer}</a
        >`
      }
      <a
        class="button ${!hasWritten && 'main'}"
        href="tel:${phone}"
        ${!showsNumber && html`aria-label="${texts.callAbout(name ?? telephoneText(phone))}"`}
        >${texts.call} ${showsNumber && telephone(phone)}</a
      >
      ${
        waits !== null &&
        actionForm(context, {
          path: `/ops/leads/${leadId}/called-back`,
          label: texts.calledBack,
          about: name ?? telephoneText(phone),
        })
      }
    </div>
  </li>`
}

const people = (list: Person[], context: Context): Html =>
  html`<ul class="people">
    ${list.map(person => personRow(person, context))}
  </ul>`

const searchForm = (context: Context, tenantId: string | null): Html => {
  const texts = leadTexts[context.language]
  return html`<form class="row search" action="/ops/leads" role="search">
    ${tenantId !== null && !context.tenantScope && html`<input type="hidden" name="tenant" value="${tenantId}" />`}
    <input
      name="q"
      type="search"
      dir="auto"
      maxlength="${MAX_SEARCH}"
      value="${context.params['q']}"
      aria-label="${texts.search}"
      placeholder="${texts.search}"
    />
    <button>${texts.searchButton}</button>
  </form>`
}

/** After "called back" in the list: the person has left it, so the undo stands above it. */
const undoBar = (person: Person, context: Context): Html => {
  const texts = leadTexts[context.language]
  return html`<div class="flash row spread" role="status">
    <span>${texts.doneText(personText(person))}</span>
    ${actionForm(context, {
      path: `/ops/leads/${person.leadId}/called-back/undo`,
      label: texts.undo,
    })}
  </div>`
}

/** `?outcome=won&from=2026-11-30`: to these leads a figure of /ops. */
const closedFields = z.object({ outcome: z.enum(OUTCOMES), from: z.iso.date() })
const closedParams = (params: Record<string, string>) =>
  params['outcome'] === undefined ? null : closedFields.parse(params)

/** The path without the mark of the person who was called back. */
const withoutDone = (path: string): string =>
  path.replace(/([?&])done=\d+(&|$)/, '$1').replace(/[?&]$/, '')

export const leadsPages = Router()

leadsPages.get(
  '/leads',
  reportPage(async (trx, given) => {
    const context = { ...given, url: withoutDone(given.url) }
    const { language, params } = context
    const texts = leadTexts[language]
    const choice = await tenantsFor(trx, context)
    const { tenantId, chosen } = choice
    const written = (params['q'] ?? '').trim().slice(0, MAX_SEARCH).replaceAll('\0', '')
    const { done = '' } = params
    const before = cursorParam(context, PERSON_CURSOR)
    const closed = closedParams(params)
    const isSearch = written !== '' || closed !== null
    const timezone = chosen?.timezone ?? DEFAULT_TIMEZONE
    const found =
      written !== ''
        ? await findPeople(trx, { tenantId, written })
        : closed
          ? await peopleWithOutcome(trx, { tenantId, timezone, ...closed })
          : await waitingPeople(trx, { tenantId, before, limit: PAGE_SIZE + 1 })
    const shown = isSearch ? found : found.slice(0, PAGE_SIZE)
    const hasMore = !isSearch && found.length > PAGE_SIZE
    const calledBack = isId(done) ? await findPerson(trx, done, context.tenantScope) : null
    const tenant = tenantId && !context.tenantScope ? `tenant=${tenantId}&` : ''
    const count = hasMore ? `${PAGE_SIZE}+` : String(shown.length)
    const heading = isSearch
      ? found.length === MAX_FOUND
        ? texts.foundMany(MAX_FOUND)
        : texts.found(found.length)
      : shown.length === 0 || before !== null
        ? texts.title
        : texts.waiting(count)
    const groups = new Map<WaitReason, Person[]>()
    if (!isSearch)
      for (const person of shown)
        if (person.waits) groups.set(person.waits, [...(groups.get(person.waits) ?? []), person])
    return {
      name: 'leads',
      title: texts.title,
      live: !isSearch && before === null,
      body: html`${calledBack && undoBar(calledBack, context)}
        <div class="row spread">
          <h1>${heading}</h1>
          ${tenantFilter('/ops/leads', choice, context)}
        </div>
        ${searchForm(context, tenantId)}
        ${
          isSearch &&
          html`${closed && written === '' && html`<h2>${texts.outcomes[closed.outcome]}</h2>`}
            ${shown.length === 0 ? html`<p class="empty">${texts.notFound}</p>` : people(shown, context)}
            <p>
              <a class="alone" href="/ops/leads${tenant && `?${tenant}`}">${texts.allWaiting}</a>
            </p>`
        }
        ${!isSearch && shown.length === 0 && html`<p class="empty">${texts.none}</p>`}
        ${[...groups].map(
          ([why, list]) =>
            html`<section id="${why}">
              <h2>${texts.groups[why]}</h2>
              ${people(list, context)}
            </section>`,
        )}
        ${hasMore && html`<p><a class="button" href="/ops/leads?${tenant}before=${shown.at(-1)?.cursor}">${texts.older}</a></p>`}`,
    }
  }),
)

/** The key of the lead in the path, for the actions. */
export const leadKey = async (trx: Parameters<typeof numberOfLead>[0], context: Context) => {
  const leadId = idParam(context)
  const { tenantId } = await orAbort({}, () => numberOfLead(trx, leadId, context.tenantScope))
  return { tenantId, leadId }
}

leadsPages.post(
  '/leads/:id/called-back',
  action(async (trx, context, form) => {
    const key = await leadKey(trx, context)
    const { phone } = await markCalledBack(trx, context.signIn, key)
    const back = withoutDone(returnPath(form))
    const isList = /^\/ops\/leads(\?|$)/.test(back)
    return isList
      ? { flash: '', to: `${back}${back.includes('?') ? '&' : '?'}done=${key.leadId}` }
      : { flash: leadTexts[context.language].doneText(telephoneText(phone)), to: back }
  }),
)

leadsPages.post(
  '/leads/:id/called-back/undo',
  action(async (trx, context, form) => {
    await undoCalledBack(trx, context.signIn, await leadKey(trx, context))
    return { flash: leadTexts[context.language].undone, to: withoutDone(returnPath(form)) }
  }),
)
