/** The conversation with one person: calls and messages, as in a chat. */
import type { PersonDetails } from '../../outreach/people_search.ts'
import type { CallEntry, MessageEntry, ThreadEntry } from '../../outreach/thread.ts'
import type { Context } from './access.ts'
import { clockTime, dayName } from './format.ts'
import { html, type Html } from './html.ts'
import { callTexts } from './locales/call.ts'
import { leadTexts } from './locales/leads.ts'
import { explainCall } from './why.ts'

const callLine = (call: CallEntry, context: Context, timezone: string): Html => {
  const { language } = context
  const texts = leadTexts[language].callsIn
  const { verdict, reason, channel, page, at } = call
  const isMissed = verdict === 'missed'
  const what =
    channel === 'whatsapp'
      ? texts.whatsapp
      : isMissed
        ? texts.missed
        : verdict === 'answered'
          ? texts.answered
          : reason === 'outgoing'
            ? texts.outgoing
            : texts.other
  return html`<a href="/ops/calls/${page}"
      ><span aria-hidden="true">${isMissed ? '↙' : '☎'}</span> ${what}
      ${clockTime(at, language, timezone)}</a
    >
    ${isMissed && html`<small>${explainCall(language, call)}</small>`}`
}

const failure = (message: MessageEntry, { language }: Context): string | null => {
  const { state, kind, reason, errorCode } = message
  if (kind === 'manual' && state === 'skipped')
    return leadTexts[language].notSent[reason ?? ''] ?? null
  return state === 'failed' && errorCode !== null
    ? (callTexts[language].errors[errorCode] ?? callTexts[language].error(errorCode))
    : null
}

const bubble = (message: MessageEntry, context: Context, timezone: string): Html => {
  const { language } = context
  const texts = leadTexts[language]
  const { direction, kind, state, text, template, at } = message
  const isOurs = direction === 'out'
  const label = isOurs ? (texts.kinds[kind] ?? texts.you) : null
  const missing =
    template !== null ? `${texts.hiddenText} ${texts.templateOf(template)}.` : texts.deletedText
  const why = failure(message, context)
  const isProblem =
    state === 'failed' || state === 'unknown' || (kind === 'manual' && state === 'skipped')
  return html`${label && html`<small>${label}</small>`}
    <p dir="auto">${text ?? html`<i dir="${language === 'he' ? 'rtl' : 'ltr'}">${missing}</i>`}</p>
    <small class="${isProblem && 'problem'}"
      >${isOurs && html`${texts.messageStates[state]}${why !== null && html`: ${why}`} · `}${clockTime(at, language, timezone)}</small
    >`
}

/** The side and the look of an entry. */
const sideOf = (entry: ThreadEntry): string => {
  if (entry.type === 'call') return 'event'
  if (entry.direction === 'in') return 'in'
  if (entry.state === 'scheduled' || entry.state === 'shadow') return 'out planned'
  return entry.kind === 'manual' ? 'out by-hand' : 'out'
}

export const conversation = (
  entries: ThreadEntry[],
  { timezone, now }: Pick<PersonDetails, 'timezone' | 'now'>,
  context: Context,
): Html => {
  const { language } = context
  let shownDay = ''
  return html`<ol class="thread">
    ${entries.map((entry, n) => {
      const day = dayName(entry.at, now, language, timezone)
      const isNewDay = day !== shownDay
      shownDay = day
      return html`${isNewDay && html`<li class="day">${day}</li>`}
        <li class="${sideOf(entry)}" ${n === entries.length - 1 && html`id="latest"`}>
          ${
            entry.type === 'call'
              ? callLine(entry, context, timezone)
              : bubble(entry, context, timezone)
          }
        </li>`
    })}
  </ol>`
}
