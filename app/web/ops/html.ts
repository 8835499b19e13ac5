const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** HTML that needs no escaping. */
export type Html = { html: string }

/** null, undefined and false are empty. */
export type Value = string | number | null | undefined | false | Html | Value[]

const asHtml = (value: Value): string => {
  if (value === undefined || value === null || value === false) return ''
  if (Array.isArray(value)) return value.map(asHtml).join('')
  if (typeof value === 'object') return value.html
  return String(value).replace(/[&<>"']/g, found => entities[found] ?? '')
}

/** Builds HTML. Each value is escaped unless this function built it. */
export const html = (strings: TemplateStringsArray, ...values: Value[]): Html => ({
  html: strings.reduce((text, string, index) => text + asHtml(values[index - 1]) + string),
})

/** Heading and content of a column; false = this page does not have the column. */
export type Column<Row> =
  [head: string, cell: (row: Row) => Value, look?: 'wide' | 'number'] | false

/** A table. On a phone each row is a card, and a wide cell is a line of its own, without its heading. */
export const table = <Row>(rows: Row[], columns: Column<Row>[]): Html => {
  const shown = columns.filter(column => column !== false)
  return html`<table class="stack">
    <thead>
      <tr>
        ${shown.map(([head, , look]) => html`<th scope="col" class="${look}">${head}</th>`)}
      </tr>
    </thead>
    <tbody>
      ${rows.map(
        row =>
          html`<tr>
            ${shown.map(
              ([head, cell, look]) =>
                html`<td class="${look}" data-label="${head}"><div>${cell(row)}</div></td>`,
            )}
          </tr>`,
      )}
    </tbody>
  </table>`
}
