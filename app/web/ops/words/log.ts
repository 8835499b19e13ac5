import { inBoth } from '../language.ts'

export const logWords = inBoth(
  {
    title: 'What was done by hand',
    when: 'When',
    who: 'Who',
    what: 'What',
    to: 'To',
    before: 'Before',
    after: 'After',
    none: 'Nothing has been done by hand yet.',
    older: 'Older',
  },
  {
    title: 'מה נעשה ידנית',
    when: 'מתי',
    who: 'מי',
    what: 'מה',
    to: 'במה',
    before: 'לפני',
    after: 'אחרי',
    none: 'עדיין לא נעשה דבר ידנית.',
    older: 'ישנים יותר',
  },
)
