import { html, type Html, type Value } from './html.ts'

/** What stands above a column, and in it; false = there is no such column on this page. */
export type Column<Row> = [head: string, cell: (row: Row) => Value] | false

/** A table; on a phone each of its rows is a card. */
export const table = <Row>(rows: Row[], columns: Column<Row>[]): Html => {
  const shown = columns.filter(column => column !== false)
  return html`<table class="stack">
    <thead>
      <tr>
        ${shown.map(([head]) => html`<th scope="col">${head}</th>`)}
      </tr>
    </thead>
    <tbody>
      ${rows.map(
        row =>
          html`<tr>
            ${shown.map(
              ([head, cell]) => html`<td data-label="${head}"><div>${cell(row)}</div></td>`,
            )}
          </tr>`,
      )}
    </tbody>
  </table>`
}
