import { Tooltip } from '@mantine/core'
import type { ReactNode, Ref } from 'react'
import classes from './BarButton.module.css'

interface Props {
  /** The name: shown on hover and focus, read out always. */
  label: string
  /** Why not now, as a sentence; the button stays reachable and says it. */
  reason?: string | null | undefined
  /** For what is on or off. */
  pressed?: boolean
  /** Words in the button; without them it is an icon. */
  wide?: boolean
  urgent?: boolean
  onClick?: () => void
  children: ReactNode
  ref?: Ref<HTMLButtonElement>
  className?: string
  'aria-haspopup'?: 'menu' | 'dialog'
  'aria-expanded'?: boolean
}

/** A button in a console's own dark bar, the same in both themes of the page. */
export function BarButton({
  label,
  reason,
  pressed,
  wide,
  urgent,
  onClick,
  children,
  ref,
  className = '',
  ...rest
}: Props) {
  return (
    <Tooltip label={reason ? `${label}: ${reason.charAt(0).toLowerCase()}${reason.slice(1)}` : label}>
      <button
        ref={ref}
        type="button"
        className={`${classes['button']} ${className}`}
        data-wide={wide || undefined}
        data-urgent={urgent || undefined}
        aria-pressed={pressed}
        aria-disabled={reason ? true : undefined}
        {...(wide ? {} : { 'aria-label': label })}
        {...rest}
        onClick={reason ? undefined : onClick}
      >
        {children}
      </button>
    </Tooltip>
  )
}
