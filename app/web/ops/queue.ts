/** The queue, for an engineer: jobs by task and state, errors, and the work of the last hour. For the operator only. */
import { Router } from 'express'
import {
  errorsOfFailed,
  type FailedGroup,
  type Job,
  JOB_STATES,
  type JobState,
  lastHour,
  listJobs,
  MAX_COUNTED,
  type Queued,
  queueByTask,
  type Throughput,
} from '../../worker/queue.ts'
import { DISCARDED } from '../../worker/failed_jobs.ts'
import type { Context } from './access.ts'
import { discardForm, retryForm } from './alert_failures.ts'
import { wrongParam } from './errors.ts'
import { DEFAULT_TIMEZONE, dateTime, duration, relativeTime } from './format.ts'
import { actionForm, confirmForm } from './forms.ts'
import { type Column, html, type Html, table } from './html.ts'
import { type Language, translations } from './language.ts'
import { layoutTexts } from './layout.ts'
import { alertTexts } from './locales/alerts.ts'
import { cursorParam, ID, operatorOnly, page } from './page.ts'

const PAGE_SIZE = 25
const MAX_ERROR = 300

type Filter = { task: string | null; state: JobState | null; error: string | null }

const filterOf = ({ params }: Context): Filter => {
  const { task = '', state = '', error = '' } = params
  const known = JOB_STATES.find(one => one === state) ?? null
  if (!/^\w{0,128}$/.test(task)) wrongParam('task')
  if (state !== '' && !known) wrongParam('state')
  if (!/^([0-9a-f]{32})?$/.test(error)) wrongParam('error')
  return { task: task || null, state: known, error: error || null }
}

const queueUrl = (filter: Partial<Filter>, before: string | null = null): string => {
  const all = Object.entries({ ...filter, before }).flatMap(([name, value]): [string, string][] =>
    value === null ? [] : [[name, value]],
  )
  return all.length === 0 ? '/ops/queue' : `/ops/queue?${new URLSearchParams(all).toString()}`
}

/** `0.3 s` below ten seconds, otherwise in the largest unit. */
const span = (seconds: number | null, language: Language): string =>
  seconds === null
    ? '–'
    : seconds >= 10
      ? duration(seconds, language)
      : new Intl.NumberFormat(language, {
          style: 'unit',
          unit: 'second',
          unitDisplay: 'short',
          maximumSignificantDigits: 2,
        }).format(seconds)

const countOf = (count: number): string =>
  count >= MAX_COUNTED ? `${MAX_COUNTED}+` : String(count)

const hourSection = (rows: Throughput[], language: Language): Html => {
  const texts = queueTexts[language].hour
  return html`<section id="hour" class="compact">
    <h2>${texts.title}</h2>
    ${table(rows, [
      [texts.what, ({ kind }) => texts.kinds[kind], 'wide'],
      [texts.count, ({ count }) => countOf(count), 'number'],
      [texts.median, ({ median }) => span(median, language), 'number'],
      [texts.p95, ({ p95 }) => span(p95, language), 'number'],
      [texts.longest, ({ longest }) => span(longest, language), 'number'],
      [texts.waiting, ({ waiting }) => (waiting === null ? '–' : countOf(waiting)), 'number'],
    ])}
  </section>`
}

const taskSection = (tasks: Queued[], isCut: boolean, language: Language): Html => {
  const texts = queueTexts[language].tasks
  const { states } = queueTexts[language]
  const count = (state: JobState): Column<Queued> => [
    states[state],
    (row: Queued) =>
      row[state] === 0
        ? 0
        : html`<a href="${queueUrl({ task: row.task, state })}#jobs">${row[state]}</a>`,
    'number',
  ]
  return html`<section id="tasks" class="compact">
    <h2>${texts.title}</h2>
    <p class="quiet">${texts.help} ${isCut && texts.cut(MAX_COUNTED)}</p>
    ${
      tasks.length === 0
        ? html`<p class="empty">${texts.none}</p>`
        : table(tasks, [
            [
              texts.task,
              ({ task }) => html`<a href="${queueUrl({ task })}#jobs"><code>${task}</code></a>`,
            ],
            [texts.oldest, ({ oldestDue }) => span(oldestDue, language)],
            ...JOB_STATES.map(count),
          ])
    }
  </section>`
}

/** The failed jobs by task and error, each with buttons for all of them. */
const errorSection = (groups: FailedGroup[], context: Context): Html | false => {
  const { language } = context
  const texts = queueTexts[language].errors
  const { jobs: jobTexts } = alertTexts[language]
  const warnings: Record<string, string> = jobTexts.warnings
  return (
    groups.length > 0 &&
    html`<section id="errors">
      <h2>${texts.title}</h2>
      <p class="quiet">${texts.help}</p>
      ${table(groups, [
        [
          jobTexts.error,
          ({ task, error, lastError }) =>
            html`<code>${task}</code><br />
              <a href="${queueUrl({ task, state: 'failed', error })}#jobs"
                ><bdi>${lastError?.slice(0, MAX_ERROR) ?? jobTexts.noError}</bdi></a
              >`,
          'wide',
        ],
        [texts.jobs, ({ jobs }) => jobs, 'number'],
        [texts.since, ({ since }) => dateTime(since, language, DEFAULT_TIMEZONE)],
        [texts.until, ({ until }) => dateTime(until, language, DEFAULT_TIMEZONE)],
        [
          alertTexts[language].whatNow,
          ({ task, error, jobs, isKnown }) =>
            html`${
              isKnown &&
              actionForm(context, {
                path: '/ops/trouble/jobs/retry',
                label: jobTexts.retryAll(jobs),
                fields: { task, error },
                about: task,
              })
            }
            ${
              task !== 'call_log' &&
              confirmForm(context, {
                id: `discard-${task}-${error}`,
                open: texts.discardAll(jobs),
                warning: warnings[task] ?? jobTexts.warnings.otherwise,
                path: '/ops/trouble/jobs/discard',
                fields: { task, error },
                label: texts.discardYes,
                about: task,
              })
            }`,
        ],
      ])}
    </section>`
  )
}

const jobState = (job: Job, language: Language): Html => {
  const texts = queueTexts[language]
  const { state, attempts, maxAttempts, runAt, updatedAt, lockedAt, now, isKnown } = job
  const at = { failed: updatedAt, running: lockedAt ?? updatedAt, due: runAt, future: runAt }[state]
  return html`<span
      class="badge ${state === 'failed' ? 'bad' : attempts > 0 && state !== 'running' ? 'warn' : ''}"
      >${texts.badges[state]}</span
    >
    ${relativeTime(at, now, language)}<br /><small
      >${texts.jobs.attempts(attempts, maxAttempts)}${!isKnown && html`, ${texts.jobs.unknown}`}</small
    >`
}

const jobActions = (job: Job, context: Context): Html => {
  const { state, attempts, isKnown } = job
  return html`${isKnown && attempts > 0 && state !== 'running' && retryForm(context, job)}
  ${state === 'failed' && discardForm(context, job)}`
}

const jobTable = (jobs: Job[], context: Context): Html => {
  const { language } = context
  const texts = queueTexts[language].jobs
  return table(jobs, [
    [
      texts.job,
      ({ id, key, path }) =>
        html`<code>${key}</code><br /><small
            >${path === null ? `#${id}` : html`<a href="${path}">${texts.about}</a>`}</small
          >`,
    ],
    [
      layoutTexts[language].business,
      ({ tenantId, tenant }) =>
        tenantId === null ? '–' : html`<a href="/ops/tenants/${tenantId}"><bdi>${tenant}</bdi></a>`,
    ],
    [texts.state, job => jobState(job, language)],
    [
      alertTexts[language].jobs.error,
      ({ lastError }) =>
        lastError === null ? '–' : html`<bdi>${lastError.slice(0, MAX_ERROR)}</bdi>`,
    ],
    [alertTexts[language].whatNow, job => jobActions(job, context)],
  ])
}

export const queuePages = Router()

queuePages.get(
  '/queue',
  page(async (trx, context) => {
    operatorOnly(context)
    const { language } = context
    const texts = queueTexts[language]
    const filter = filterOf(context)
    const before = cursorParam(context, ID)
    const { tasks, isCut } = await queueByTask(trx)
    const groups = await errorsOfFailed(trx, PAGE_SIZE)
    const hour = await lastHour(trx)
    const { jobs, next } = await listJobs(trx, { ...filter, before, limit: PAGE_SIZE })
    const isAll = queueUrl(filter) === '/ops/queue'
    return {
      name: 'waiting',
      title: texts.title,
      live: before === null,
      body: html`<h1>${texts.title}</h1>
        ${hourSection(hour, language)} ${taskSection(tasks, isCut, language)}
        ${errorSection(groups, context)}
        <section id="jobs">
          <h2>
            ${isAll ? texts.jobs.all : texts.jobs.some(filter.task, filter.state && texts.states[filter.state])}
          </h2>
          ${filter.error !== null && html`<p class="quiet">${texts.jobs.sameError}</p>`}
          ${jobs.length === 0 ? html`<p class="empty">${texts.jobs.none}</p>` : jobTable(jobs, context)}
          <p class="row">
            ${before !== null && html`<a class="button" href="${queueUrl(filter)}#jobs">${texts.jobs.newest}</a>`}
            ${next !== null && html`<a class="button" href="${queueUrl(filter, next)}#jobs">${texts.jobs.older}</a>`}
            ${!isAll && html`<a class="button" href="/ops/queue#jobs">${texts.jobs.clear}</a>`}
          </p>
        </section>`,
    }
  }),
)

const queueTexts = translations(
  {
    title: 'Background jobs',
    states: {
      failed: 'failed',
      due: 'due',
      retrying: 'will be retried',
      running: 'running',
      future: 'future',
    } satisfies Record<JobState, string>,
    /** Of one job. */
    badges: {
      failed: 'failed',
      due: 'due',
      running: 'running',
      future: 'future',
    } satisfies Record<Job['state'], string>,
    hour: {
      title: 'The last hour',
      what: 'Work',
      count: 'Count',
      median: 'Median',
      p95: '95th percentile',
      longest: 'Longest',
      waiting: 'Waiting now',
      kinds: {
        reports: 'call reports received',
        decisions: 'missed calls: from the report to the decision',
        messages: 'messages sent: delay after their time',
        answers: 'WhatsApp’s answers to them',
        updates: 'updates from WhatsApp received',
      } satisfies Record<Throughput['kind'], string>,
    },
    tasks: {
      title: 'By task',
      help: 'Due jobs that are not done are a backlog. Future jobs wait for their time.',
      cut: (count: number) => `At most ${count} jobs of each state are counted. There may be more.`,
      none: 'There are no jobs.',
      task: 'Task',
      oldest: 'Oldest due',
    },
    errors: {
      title: 'Failed, by error',
      help: 'These jobs failed at every attempt. Errors that differ only in numbers are listed together.',
      jobs: 'Jobs',
      since: 'First',
      until: 'Last',
      discardAll: (count: number): string => {
        if (count === 1) return 'Discard…'
        return count > DISCARDED ? `Discard the oldest ${DISCARDED}…` : `Discard all ${count}…`
      },
      discardYes: 'Yes, discard them',
    },
    jobs: {
      all: 'All jobs',
      some: (task: string | null, state: string | null): string =>
        `Jobs: ${[task, state].filter(one => one !== null).join(', ')}`,
      sameError: 'Only those with this error.',
      none: 'No such jobs.',
      job: 'Job',
      about: 'What it is about',
      state: 'State',
      attempts: (count: number, most: number) => `attempt ${count} of ${most}`,
      unknown: 'unknown task',
      newest: 'Newest jobs',
      older: 'Older jobs',
      clear: 'Show all',
    },
  },
  {
    title: 'משימות רקע',
    states: {
      failed: 'נכשלו',
      due: 'הגיע מועדן',
      retrying: 'לניסיון חוזר',
      running: 'מתבצעות',
      future: 'עתידיות',
    },
    badges: {
      failed: 'נכשלה',
      due: 'הגיע מועדה',
      running: 'מתבצעת',
      future: 'עתידית',
    },
    hour: {
      title: 'השעה האחרונה',
      what: 'עבודה',
      count: 'כמות',
      median: 'חציון',
      p95: 'אחוזון 95',
      longest: 'הארוך ביותר',
      waiting: 'ממתינים עכשיו',
      kinds: {
        reports: 'דיווחי שיחות שהתקבלו',
        decisions: 'שיחות שלא נענו: מהדיווח עד ההחלטה',
        messages: 'הודעות שנשלחו: האיחור אחרי המועד',
        answers: 'התשובות של WhatsApp עליהן',
        updates: 'עדכונים שהתקבלו מ־WhatsApp',
      },
    },
    tasks: {
      title: 'לפי משימה',
      help: 'משימות שמועדן עבר ועוד לא בוצעו הן עומס שהצטבר. משימות עתידיות מחכות למועד שלהן.',
      cut: count => `נספרו לכל היותר ${count} משימות בכל מצב. ייתכן שיש עוד.`,
      none: 'אין משימות.',
      task: 'משימה',
      oldest: 'הוותיקה ביותר',
    },
    errors: {
      title: 'נכשלו, לפי שגיאה',
      help: 'כל הניסיונות של המשימות האלה נכשלו. שגיאות ששונות רק במספרים מופיעות יחד.',
      jobs: 'משימות',
      since: 'ראשונה',
      until: 'אחרונה',
      discardAll: count => {
        if (count === 1) return 'ביטול…'
        return count > DISCARDED ? `ביטול ${DISCARDED} הישנות ביותר…` : `ביטול כל ה־${count}…`
      },
      discardYes: 'כן, ביטול המשימות',
    },
    jobs: {
      all: 'כל המשימות',
      some: (task, state) => `משימות: ${[task, state].filter(one => one !== null).join(', ')}`,
      sameError: 'רק אלה עם השגיאה הזאת.',
      none: 'אין משימות כאלה.',
      job: 'משימה',
      about: 'במה מדובר',
      state: 'מצב',
      attempts: (count, most) => `ניסיון ${count} מתוך ${most}`,
      unknown: 'משימה לא מוכרת',
      newest: 'המשימות החדשות ביותר',
      older: 'משימות ישנות יותר',
      clear: 'הצגת הכול',
    },
  },
)
