import { createTheme, type MantineColorsTuple } from '@mantine/core'

const teal: MantineColorsTuple = [
  '#f0fdfa',
  '#ccfbf1',
  '#99f6e4',
  '#5eead4',
  '#2dd4bf',
  '#14b8a6',
  '#0d9488',
  '#0f766e',
  '#115e59',
  '#134e4a',
]
const gray: MantineColorsTuple = [
  '#f5f7f9',
  '#edf1f4',
  '#e1e7ec',
  '#cdd6de',
  '#aab6c1',
  '#7f8d9a',
  '#5a6875',
  '#46535f',
  '#2a343e',
  '#18212b',
]
const dark: MantineColorsTuple = [
  '#dfe6ec',
  '#b9c5d0',
  '#9fadba',
  '#7f8d9b',
  '#2c3946',
  '#1d2731',
  '#18212a',
  '#11171e',
  '#0b0f14',
  '#080b0f',
]

const tooltipEvents = { hover: true, focus: true, touch: true }

/** Mantine's part of the look; the colours that carry meaning are in tokens.css. */
export const theme = createTheme({
  colors: { teal, gray, dark },
  primaryColor: 'teal',
  primaryShade: { light: 7, dark: 4 },
  autoContrast: true,
  luminanceThreshold: 0.35,
  fontFamily: '"Inter Variable", system-ui, sans-serif',
  fontFamilyMonospace: '"JetBrains Mono Variable", ui-monospace, monospace',
  headings: { fontFamily: '"Inter Variable", system-ui, sans-serif', fontWeight: '600' },
  fontSizes: { xs: '0.75rem', sm: '0.8125rem', md: '0.875rem', lg: '1rem', xl: '1.25rem' },
  lineHeights: { xs: '1.35', sm: '1.45', md: '1.5', lg: '1.5', xl: '1.35' },
  spacing: { xs: '0.5rem', sm: '0.75rem', md: '1rem', lg: '1.5rem', xl: '2rem' },
  radius: { xs: '3px', sm: '4px', md: '6px', lg: '8px', xl: '12px' },
  defaultRadius: 'md',
  cursorType: 'pointer',
  respectReducedMotion: true,
  focusRing: 'auto',
  components: {
    Tooltip: {
      defaultProps: {
        events: tooltipEvents,
        openDelay: 250,
        maw: 320,
        multiline: true,
        transitionProps: { duration: 100 },
      },
    },
    ModalRoot: {
      defaultProps: { centered: true, transitionProps: { duration: 120, transition: 'fade' }, radius: 'lg' },
    },
    Modal: { defaultProps: { centered: true, transitionProps: { duration: 120, transition: 'fade' }, radius: 'lg' } },
    Menu: {
      defaultProps: {
        withInitialFocusPlaceholder: false,
        shadow: 'md',
        transitionProps: { duration: 80 },
        withinPortal: true,
        position: 'bottom-end',
      },
    },
    Popover: { defaultProps: { shadow: 'md', transitionProps: { duration: 80 } } },
    SegmentedControl: { defaultProps: { withItemsBorders: false } },
    Select: { defaultProps: { checkIconPosition: 'right', allowDeselect: false } },
    Skeleton: { defaultProps: { radius: 'sm' } },
    Button: { defaultProps: { variant: 'filled' } },
    Switch: { defaultProps: { withThumbIndicator: false } },
  },
})
