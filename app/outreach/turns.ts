/**
 * Splits what is to be done into groups that are done one after the other, and in each of which nobody occurs twice:
 * what follows from a person's second call depends on what followed from her first. Keeps the order for each person.
 *
 * @param peopleIn who is concerned by one of them; of those that concern nobody all are in the first group
 */
export const turns = <Item>(
  items: readonly Item[],
  peopleIn: (item: Item) => string[],
): Item[][] => {
  const groups: Item[][] = []
  const next = new Map<string, number>()
  for (const item of items) {
    const people = peopleIn(item)
    const turn = Math.max(0, ...people.map(person => next.get(person) ?? 0))
    ;(groups[turn] ??= []).push(item)
    for (const person of people) next.set(person, turn + 1)
  }
  return groups
}
