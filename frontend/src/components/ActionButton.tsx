import { ActionIcon, Button, type ButtonProps, Tooltip } from '@mantine/core'
import type { MouseEvent, ReactNode } from 'react'

interface Shared {
  /** Why this can't be done now, as a sentence; null or undefined when it can. The button then stays reachable. */
  reason?: string | null | undefined
  onClick?: ((event: MouseEvent<HTMLButtonElement>) => void) | undefined
}

type ActionButtonProps = Shared &
  Pick<ButtonProps, 'variant' | 'color' | 'size' | 'leftSection' | 'rightSection' | 'loading' | 'fullWidth'> & {
    children: ReactNode
    type?: 'button' | 'submit'
    className?: string
    'aria-label'?: string
    'data-autofocus'?: boolean
    /** Red: something goes. */
    danger?: boolean
  }

/** A button that says why when it can't be used: it keeps the focus and shows the reason on hover and focus. */
export function ActionButton({
  reason,
  onClick,
  children,
  type = 'button',
  danger = false,
  ...rest
}: ActionButtonProps) {
  // Always in a tooltip: a reason that comes or goes must not take the focus away.
  return (
    <Tooltip label={reason ?? ''} disabled={!reason}>
      <Button
        size="sm"
        {...rest}
        {...(danger && !reason ? { 'data-danger': true } : {})}
        type={reason ? 'button' : type}
        {...guarded(reason, onClick)}
      >
        {children}
      </Button>
    </Tooltip>
  )
}

interface IconProps extends Shared {
  label: string
  children: ReactNode
  variant?: string
  color?: string
  size?: number
  loading?: boolean
  tabIndex?: number
  className?: string
}

/** An icon alone needs its name on hover; when it can't be used, its name and the reason. */
export function IconAction({
  label,
  reason,
  onClick,
  children,
  variant = 'subtle',
  color = 'gray',
  ...rest
}: IconProps) {
  return (
    <Tooltip label={reason ? `${label}: ${lowerFirst(reason)}` : label}>
      <ActionIcon aria-label={label} variant={variant} color={color} size={28} {...rest} {...guarded(reason, onClick)}>
        {children}
      </ActionIcon>
    </Tooltip>
  )
}

function guarded(reason: Shared['reason'], onClick: Shared['onClick']) {
  if (!reason) return onClick ? { onClick } : {}
  return {
    'aria-disabled': true,
    'data-disabled': true,
    onClick: (event: MouseEvent<HTMLButtonElement>) => event.preventDefault(),
  }
}

function lowerFirst(sentence: string): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1)
}
