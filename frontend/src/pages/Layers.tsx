import classes from './Layers.module.css'

const LABELS = [
  { y: 96, title: 'your overlay', note: 'what you change', tone: 'top' },
  { y: 196, title: 'base image', note: 'shared, never changes', tone: 'middle' },
  { y: 296, title: 'one plain folder', note: 'to back up and to move', tone: 'bottom' },
] as const

/** What a node is made of: the picture beside the sign-in form. */
export function Layers() {
  return (
    <svg className={classes['scene']} viewBox="0 0 640 420" role="presentation">
      {LABELS.toReversed().map(({ y, title, note, tone }) => (
        <g key={title} data-tone={tone}>
          <path
            className={classes['side']}
            d={`M70 ${y} 210 ${y + 70}v14L70 ${y + 14}zM350 ${y} 210 ${y + 70}v14l140-70z`}
          />
          <path className={classes['face']} d={`M210 ${y - 70} 350 ${y} 210 ${y + 70} 70 ${y}z`} />
          <path className={classes['lead']} d={`M352 ${y}h54`} />
          <circle className={classes['end']} cx="409" cy={y} r="3" />
          <text className={classes['title']} x="424" y={y - 2}>
            {title}
          </text>
          <text className={classes['note']} x="424" y={y + 18}>
            {note}
          </text>
        </g>
      ))}
      <path className={classes['trace']} d="M130 96h38l8-14 10 30 10-46 12 54 8-24h74" />
    </svg>
  )
}
