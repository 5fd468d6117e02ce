import type { ReactNode } from 'react'
import classes from './Mark.module.css'
import type { Shape, Tone } from './node-status.js'

const SHAPES: Record<Shape, ReactNode> = {
  dot: <circle cx="6" cy="6" r="4.5" fill="currentColor" />,
  half: (
    <>
      <circle cx="6" cy="6" r="4" fill="none" stroke="currentColor" strokeWidth="1.5" />
      <path d="M6 2a4 4 0 0 1 0 8z" fill="currentColor" />
    </>
  ),
  bars: <path d="M2.5 2h2.4v8H2.5zM7.1 2h2.4v8H7.1z" fill="currentColor" />,
  ring: <circle cx="6" cy="6" r="3.75" fill="none" stroke="currentColor" strokeWidth="1.5" />,
  triangle: <path d="M6 1.2 11.3 10.6H.7z" fill="currentColor" />,
  cross: <path d="m2.5 2.5 7 7m0-7-7 7" stroke="currentColor" strokeWidth="2" strokeLinecap="round" />,
}

/** A status sign: shape and colour. Always stands beside its word. */
export function Mark({ shape, tone, turning = false }: { shape: Shape; tone: Tone; turning?: boolean }) {
  return (
    <svg
      className={classes['mark']}
      data-tone={tone}
      data-turning={turning || undefined}
      viewBox="0 0 12 12"
      width="12"
      height="12"
      aria-hidden="true"
    >
      {SHAPES[shape]}
    </svg>
  )
}
