/** The list of all tenants, for the operator: the worst first, with the figures of 30 days. */
import { DateTime } from 'luxon'
import {
  type BusinessLine,
  type Counts,
  type Filter,
  FILTERS,
  listBusinesses,
  parseCursor,
  PROBLEMS,
  type Sort,
  SORTS,
} from '../../monitoring/businesses.ts'
import type { Trx } from '../../db/kysely.ts'
import type { Context } from './access.ts'
import { wrongParam } from './errors.ts'
import { DEFAULT_TIMEZONE, duration, money, relativeTime, telephone } from './format.ts'
import { html, type Html, table } from './html.ts'
import { translations } from './language.ts'
import { layoutTexts, type Page } from './layout.ts'
import { pagesOfOneTenant, type TenantPage } from './page.ts'
import { modeBadge, tenantPath } from './tenant/section.ts'

const PAGE_SIZE = 25
const MAX_SEARCH = 100
/** The list shows only this many numbers of a tenant. A large tenant may have a hundred. */
const MAX_NUMBERS = 2

type Search = { written: string; filter: Filter; sort: Sort; page: TenantPage | null }

const isOneOf = <Name extends string>(names: readonly Name[], written: string): written is Name =>
  names.some(name => name === written)

const searchOf = ({ params }: Context): Search => {
  const { show = 'all', sort = 'attention', for: path = '' } = params
  if (!isOneOf(FILTERS, show)) return wrongParam('show')
  if (!isOneOf(SORTS, sort)) return wrongParam('sort')
  const written = (params['q'] ?? '').trim().slice(0, MAX_SEARCH).replaceAll('\0', '')
  return { written, filter: show, sort, page: pagesOfOneTenant.find(page => page === path) ?? null }
}

/** The same list with other choices. What is not chosen is not in the URL. */
const listUrl = ({ written, filter, sort, page }: Search, before = ''): string => {
  const choices = {
    q: written,
    show: filter === 'all' ? '' : filter,
    sort: sort === 'attention' ? '' : sort,
    for: page ?? '',
    before,
  }
  const query = new URLSearchParams(Object.entries(choices).filter(([, value]) => value !== ''))
  return query.size === 0 ? '/ops/tenants' : `/ops/tenants?${query.toString()}`
}

const options = <Name extends string>(
  names: readonly Name[],
  texts: Record<Name, string>,
  chosen: Name,
) =>
  names.map(
    name =>
      html`<option value="${name}" ${name === chosen && html`selected`}>${texts[name]}</option>`,
  )

const filterForm = (search: Search, { language }: Context): Html => {
  const texts = businessTexts[language]
  return html`<form class="filter card" action="/ops/tenants" role="search">
    ${search.page !== null && html`<input type="hidden" name="for" value="${search.page}" />`}
    <label
      >${texts.search}
      <input
        name="q"
        type="search"
        maxlength="${MAX_SEARCH}"
        value="${search.written}"
        placeholder="${texts.searchHelp}"
    /></label>
    <label
      >${texts.show}
      <select name="show">
        ${options(FILTERS, texts.filters, search.filter)}
      </select></label
    >
    <label
      >${texts.sort}
      <select name="sort">
        ${options(SORTS, texts.sorts, search.sort)}
      </select></label
    >
    <button class="main">${layoutTexts[language].show}</button>
  </form>`
}

/** How many tenants have which problem. Each figure leads to them. */
const problemFigures = (counts: Counts, search: Search, { language }: Context): Html => {
  const texts = businessTexts[language]
  const found = PROBLEMS.filter(problem => problem !== 'attention' && counts[problem] > 0)
  return html`<p>
      ${
        counts.attention === 0
          ? html`<span class="badge good">${texts.allClear}</span>`
          : html`<strong>${texts.attention(counts.attention, counts.all)}</strong>`
      }
    </p>
    ${
      found.length > 0 &&
      html`<ul class="figures">
        ${found.map(
          problem =>
            html`<li>
              <a href="${listUrl({ ...search, filter: problem })}"
                ><strong>${counts[problem]}</strong> ${texts.filters[problem]}</a
              >
            </li>`,
        )}
      </ul>`
    }`
}

const problemsOf = (line: BusinessLine, { language }: Context): Html => {
  const { problems: texts, isFine } = businessTexts[language]
  const { tenantId, isSilent, paused, unread, unreadSince, lateSince, others, now } = line
  const since = (at: Date) => duration((now.getTime() - at.getTime()) / 1000, language)
  const badge = (look: 'bad' | 'warn', path: string, text: string) =>
    html`<a class="badge ${look}" href="${path}">${text}</a> `
  const trouble = `/ops/trouble?tenant=${tenantId}`
  const badges = [
    isSilent && badge('bad', `${trouble}#silent`, texts.silent),
    paused > 0 && badge('bad', `${trouble}#paused`, texts.paused),
    unreadSince !== null &&
      badge('warn', `/ops/leads?tenant=${tenantId}`, texts.unread(unread, since(unreadSince))),
    lateSince !== null &&
      badge('warn', `/ops/waiting?tenant=${tenantId}`, texts.late(since(lateSince))),
    others > 0 && badge('warn', trouble, texts.others(others)),
  ].filter(one => one !== false)
  return badges.length === 0 ? html`<span class="quiet">${isFine}</span>` : html`${badges}`
}

const businessTable = (lines: BusinessLine[], search: Search, context: Context): Html => {
  const { language } = context
  const texts = businessTexts[language]
  return html`<div class="compact">
    ${table(lines, [
      [
        texts.name,
        ({ tenantId, name, mode, numbers }) =>
          html`<a
              href="${search.page === null ? tenantPath(tenantId, 'overview') : `${search.page}?tenant=${tenantId}`}"
              ><bdi>${name}</bdi></a
            >
            ${modeBadge(mode, context)}<br /><small
              >#${tenantId}
              ${numbers.length > 0 && '· '}${numbers.slice(0, MAX_NUMBERS).map((number, n) => html`${n > 0 && ', '}${telephone(number)}`)}${numbers.length > MAX_NUMBERS && ' …'}</small
            >`,
        'wide',
      ],
      [texts.state, line => problemsOf(line, context), 'wide'],
      [
        texts.webhook,
        ({ lastWebhookAt, now, connection }) =>
          html`${lastWebhookAt ? relativeTime(lastWebhookAt, now, language) : texts.never}
          ${connection === null && html`<br /><small>${texts.notConnected}</small>`}`,
      ],
      [texts.missed, ({ missed }) => missed, 'number'],
      [texts.answered, ({ answered }) => answered, 'number'],
      [texts.contacted, ({ contacted }) => contacted, 'number'],
      [
        texts.recovered,
        ({ recovered, missed }) =>
          html`${recovered}
          ${missed > 0 && html`<small>${Math.round((100 * recovered) / missed)}%</small>`}`,
        'number',
      ],
      [
        texts.won,
        ({ won, wonValue }) =>
          html`${won} ${wonValue > 0 && html`<small>${money(wonValue, language)}</small>`}`,
        'number',
      ],
    ])}
  </div>`
}

/** The list that the URL asks for. */
export const businessesPage = async (trx: Trx, context: Context): Promise<Page> => {
  const { language, params } = context
  const texts = businessTexts[language]
  const search = searchOf(context)
  const { before: written = '' } = params
  const before = written === '' ? null : (parseCursor(written, search.sort) ?? wrongParam('before'))
  const today = DateTime.now().setZone(DEFAULT_TIMEZONE).toISODate() ?? ''
  const found = await listBusinesses(trx, { ...search, before, today, limit: PAGE_SIZE + 1 })
  const { counts } = found
  const lines = found.lines.slice(0, PAGE_SIZE)
  const isAll = listUrl({ ...search, sort: 'attention', page: null }) === '/ops/tenants'
  const next = found.lines.length > PAGE_SIZE ? (lines.at(-1)?.cursor ?? null) : null
  return {
    name: 'tenants',
    title: texts.title,
    live: before === null,
    body: html`<div class="row spread">
        <h1>${search.page === null ? texts.title : texts.choose}</h1>
        <a class="button main" href="/ops/tenants/add">${texts.add}</a>
      </div>
      ${
        counts.all === 0 && isAll
          ? html`<p class="empty">${texts.none}</p>`
          : html`${filterForm(search, context)} ${problemFigures(counts, search, context)}`
      }
      ${lines.length > 0 && html`${businessTable(lines, search, context)}`}
      ${lines.length === 0 && !(counts.all === 0 && isAll) && html`<p class="empty">${texts.notFound}</p>`}
      ${lines.length > 0 && html`<p class="quiet">${texts.month}</p>`}
      <p class="row">
        ${before !== null && html`<a class="button" href="${listUrl(search)}">${texts.first}</a>`}
        ${next !== null && html`<a class="button" href="${listUrl(search, next)}">${texts.next}</a>`}
        ${!isAll && html`<a class="button" href="${listUrl({ written: '', filter: 'all', sort: 'attention', page: search.page })}">${texts.clear}</a>`}
      </p>`,
  }
}

const businessTexts = translations(
  {
    title: 'Businesses',
    choose: 'Choose a business',
    none: 'There are no businesses yet.',
    notFound: 'No such businesses.',
    add: 'Add a business',
    search: 'Search',
    searchHelp: 'Name, number, id',
    show: 'Which businesses',
    sort: 'Order',
    filters: {
      all: 'all',
      attention: 'need attention',
      silent: 'no call reports',
      paused: 'WhatsApp paused',
      unread: 'unread answers',
      late: 'late messages',
      live: 'live',
      shadow: 'in trial mode',
      off: 'paused by hand',
    } satisfies Record<Filter, string>,
    sorts: {
      attention: 'the worst first',
      name: 'name',
      missed: 'most missed calls',
      answered: 'most answered calls',
      recovered: 'most recovered callers',
      won: 'highest sales',
      newest: 'the newest first',
    } satisfies Record<Sort, string>,
    allClear: 'All clear',
    attention: (count: number, all: number): string => `${count} of ${all} need attention`,
    isFine: 'All clear',
    problems: {
      silent: 'no call reports',
      paused: 'WhatsApp paused',
      unread: (count: number, since: string): string =>
        count === 1 ? `1 unread answer, for ${since}` : `${count} unread answers, for ${since}`,
      late: (since: string) => `messages ${since} late`,
      others: (count: number): string => (count === 1 ? '1 alert' : `${count} alerts`),
    },
    name: 'Business',
    state: 'Needs attention',
    webhook: 'Last call report',
    never: 'none yet',
    notConnected: 'WhatsApp not connected',
    missed: 'Missed',
    answered: 'Answered',
    contacted: 'Messages',
    recovered: 'Recovered',
    won: 'Won',
    month:
      'The figures are of the last 30 days. Recovered: the caller replied, or they spoke by phone after all.',
    first: 'Back to the start',
    next: 'More businesses',
    clear: 'Show all',
  },
  {
    title: 'עסקים',
    choose: 'בחירת עסק',
    none: 'עדיין אין עסקים.',
    notFound: 'אין עסקים כאלה.',
    add: 'הוספת עסק',
    search: 'חיפוש',
    searchHelp: 'שם, מספר, מזהה',
    show: 'אילו עסקים',
    sort: 'סדר',
    filters: {
      all: 'הכול',
      attention: 'דורשים טיפול',
      silent: 'אין דיווחי שיחות',
      paused: 'WhatsApp מושהה',
      unread: 'תשובות שלא נקראו',
      late: 'הודעות באיחור',
      live: 'פעילים',
      shadow: 'במצב ניסיון',
      off: 'הושהו ידנית',
    },
    sorts: {
      attention: 'לפי חומרה',
      name: 'לפי שם',
      missed: 'הכי הרבה שיחות שלא נענו',
      answered: 'הכי הרבה שיחות שנענו',
      recovered: 'הכי הרבה מתקשרים שחזרו',
      won: 'המכירות הגבוהות ביותר',
      newest: 'החדשים ביותר',
    },
    allClear: 'הכול תקין',
    attention: (count, all) => `דורשים טיפול: ${count} מתוך ${all}`,
    isFine: 'הכול תקין',
    problems: {
      silent: 'אין דיווחי שיחות',
      paused: 'WhatsApp מושהה',
      unread: (count, since) =>
        count === 1 ? `תשובה אחת לא נקראה, כבר ${since}` : `${count} תשובות לא נקראו, כבר ${since}`,
      late: since => `הודעות באיחור של ${since}`,
      others: count => (count === 1 ? 'התראה אחת' : `${count} התראות`),
    },
    name: 'עסק',
    state: 'דורש טיפול',
    webhook: 'דיווח השיחה האחרון',
    never: 'עדיין אין',
    notConnected: 'WhatsApp לא מחובר',
    missed: 'לא נענו',
    answered: 'נענו',
    contacted: 'הודעות',
    recovered: 'חזרו',
    won: 'נסגרו',
    month: 'הנתונים הם של 30 הימים האחרונים. חזרו: התקבלה תשובה, או שהתקיימה שיחה בטלפון בכל זאת.',
    first: 'חזרה להתחלה',
    next: 'עסקים נוספים',
    clear: 'הצגת הכול',
  },
)
