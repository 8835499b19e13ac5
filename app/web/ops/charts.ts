/** Charts as SVG. Each has a text or a table with its numbers, for screen readers. */
import { html, type Html } from './html.ts'
import type { Hour } from '../../monitoring/daily_figures.ts'
import type { Lift } from '../../outreach/summaries.ts'

type Bar = { label: string; value: number; href: string }
type Texts = { missed: string; answered: string; hour: string; asTable: string }

const WIDTH = 360
const HEIGHT = 160
const BELOW = 20
const BESIDE = 36

/** The top of the axis: the smallest of 4, 6, 8, 10, 12, 16, 20, 30, 40, 50, ... that is at least `most`. Its half is whole. */
export const axisTop = (most: number): number => {
  if (most < 10) return Math.max(4, Math.ceil(most / 2) * 2)
  const power = 10 ** Math.floor(Math.log10(most))
  const step = [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8].find(times => times * power >= most) ?? 10
  return step * power
}

const dataTable = (
  id: string,
  texts: { asTable: string },
  head: string[],
  rows: (string | number)[][],
): Html =>
  html`<details id="${id}">
    <summary>${texts.asTable}</summary>
    <table>
      <thead>
        <tr>
          ${head.map(name => html`<th>${name}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          cells =>
            html`<tr>
              ${cells.map(cell => html`<td>${cell}</td>`)}
            </tr>`,
        )}
      </tbody>
    </table>
  </details>`

/** The hours of the day that a chart shows if there are no earlier and no later calls. */
const FIRST_HOUR = 8
const LAST_HOUR = 20

/** Missed calls beside answered ones, for each hour of the day. Time runs from left to right in both languages. */
export const hoursChart = (
  id: string,
  { title, href, hours: allHours }: { title: string; href: string; hours: Hour[] },
  texts: Texts,
): Html => {
  const busy = allHours.filter(({ missed, answered }) => missed + answered > 0)
  const first = Math.min(FIRST_HOUR, busy[0]?.hour ?? FIRST_HOUR)
  const last = Math.max(LAST_HOUR, busy.at(-1)?.hour ?? LAST_HOUR)
  const hours = allHours.slice(first, last + 1)
  const top = axisTop(Math.max(...hours.map(({ missed, answered }) => Math.max(missed, answered))))
  const y = (value: number) => (HEIGHT - BELOW) * (1 - value / top)
  const step = (WIDTH - BESIDE) / hours.length
  const width = (step - 2) / 2
  const x = (hour: number) => BESIDE + (hour - first) * step
  const bar = (kind: 'missed' | 'answered', hour: Hour) =>
    hour[kind] > 0 &&
    html`<rect
      class="${kind}"
      x="${(x(hour.hour) + 1 + (kind === 'missed' ? 0 : width)).toFixed(1)}"
      y="${y(hour[kind]).toFixed(1)}"
      width="${width.toFixed(1)}"
      height="${(HEIGHT - BELOW - y(hour[kind])).toFixed(1)}"
      rx="1"
    />`
  const line = (value: number) => html`
    <line class="grid" x1="${BESIDE}" x2="${WIDTH}" y1="${y(value)}" y2="${y(value)}" />
    <text x="${BESIDE - 6}" y="${y(value) + 4}" text-anchor="end">${value}</text>
  `
  return html`<figure class="card">
    <h2><a href="${href}">${title}</a></h2>
    <ul class="legend">
      <li class="missed">${texts.missed}</li>
      <li class="answered">${texts.answered}</li>
    </ul>
    <svg
      class="chart"
      viewBox="0 -8 ${WIDTH} ${HEIGHT + 8}"
      direction="ltr"
      role="img"
      aria-label="${title}"
    >
      ${[top, top / 2, 0].map(line)}
      ${hours.map(hour => [bar('missed', hour), bar('answered', hour)])}
      ${hours
        .filter(({ hour }) => hour % 3 === 0)
        .map(
          ({ hour }) =>
            html`<text
              x="${(x(hour) + step / 2).toFixed(1)}"
              y="${HEIGHT - 4}"
              text-anchor="middle"
            >
              ${String(hour).padStart(2, '0')}
            </text>`,
        )}
    </svg>
    ${dataTable(
      id,
      texts,
      [texts.hour, texts.missed, texts.answered],
      busy.map(({ hour, missed, answered }) => [`${hour}:00`, missed, answered]),
    )}
  </figure>`
}

/** Each bar is a share of the first one. */
export const funnelChart = (title: string, bars: Bar[]): Html => {
  const most = Math.max(1, bars[0]?.value ?? 0)
  const share = (value: number) => `${Math.round((100 * value) / most)}%`
  return html`<figure class="card">
    <h2>${title}</h2>
    <ol class="funnel">
      ${bars.map(
        ({ label, value, href }) =>
          html`<li>
            <a href="${href}"><strong>${value}</strong> ${label}</a>
            <small dir="ltr">${share(value)}</small>
            <svg class="chart" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
              <rect class="rest" width="100" height="4" rx="1" />
              <rect
                class="answered"
                width="${Math.min(100, (100 * value) / most).toFixed(1)}"
                height="4"
                rx="1"
              />
            </svg>
          </li>`,
      )}
    </ol>
  </figure>`
}

type LiftTexts = {
  title: string
  /** What the figures say, in a sentence. */
  result: string
  about: string
  axis: string
  asTable: string
  head: string[]
  arms: Record<'outreach' | 'holdout', string>
}

const LIFT_HEIGHT = 64

/** The effect of the messages: a point, and the interval around it, beside the line of no effect. */
export const liftChart = (id: string, lift: Lift, texts: LiftTexts): Html => {
  const { low, high, enough } = lift
  const left = Math.min(0, (low ?? 0) * 100)
  const right = Math.max(0, (high ?? 0) * 100)
  const bound = axisTop(Math.max(-left, right))
  const from = left < 0 ? -bound : 0
  const to = right > 0 ? bound : 0
  const x = (points: number) =>
    (16 + ((WIDTH - 32) * (points - from)) / (to - from || 1)).toFixed(1)
  const middle = (LIFT_HEIGHT - BELOW) / 2
  const plot =
    enough && lift.lift !== null && low !== null && high !== null
      ? html`<svg
            class="chart"
            viewBox="0 0 ${WIDTH} ${LIFT_HEIGHT}"
            direction="ltr"
            role="img"
            aria-label="${texts.result}"
          >
            ${[from, 0, to]
              .filter((points, i, all) => all.indexOf(points) === i)
              .map(
                points => html`
                  <line
                    class="${points === 0 ? 'zero' : 'grid'}"
                    x1="${x(points)}"
                    x2="${x(points)}"
                    y1="0"
                    y2="${LIFT_HEIGHT - BELOW}"
                  />
                  <text x="${x(points)}" y="${LIFT_HEIGHT - 4}" text-anchor="middle"
                    >${points > 0 ? `+${points}` : points}</text
                  >
                `,
              )}
            <rect
              class="interval"
              x="${x(low * 100)}"
              y="${middle - 5}"
              width="${(Number(x(high * 100)) - Number(x(low * 100))).toFixed(1)}"
              height="10"
              rx="5"
            />
            <circle class="answered" cx="${x(lift.lift * 100)}" cy="${middle}" r="7" />
          </svg>
          <p class="quiet">${texts.axis}</p>`
      : null
  const row = (arm: 'outreach' | 'holdout') => {
    const { callers, recovered, rate } = lift[arm]
    const percent = rate === null ? '–' : `${Math.round(rate * 100)}%`
    return [texts.arms[arm], callers, recovered, percent]
  }
  return html`<figure class="card" id="lift">
    <h2>${texts.title}</h2>
    <p>${texts.result}</p>
    ${plot}
    <p class="quiet">${texts.about}</p>
    ${dataTable(id, texts, texts.head, [row('outreach'), row('holdout')])}
  </figure>`
}
