import type { Recipe } from '@domain/image.js'
import { formatDuration } from '@domain/units.js'
import { IconHammer } from '@tabler/icons-react'
import { type ImageShelf, useBuildImage } from '../../api/images.js'
import { ActionButton } from '../../components/ActionButton.js'
import { toastError } from '../../components/toast.js'
import classes from './Images.module.css'
import { Here } from './Here.js'
import { useWorkOn } from './use-work-on.js'

/** Starter images that this machine makes itself from Debian packages. */
export function RecipeList({ shelf }: { shelf: ImageShelf }) {
  return (
    <section className={classes['section']}>
      <header>
        <h2>Build on this server</h2>
        <p>
          Made from Debian packages, without downloading an image. Several minutes of work for the server, none for you.
        </p>
      </header>
      <div className={classes['recipes']}>
        {shelf.recipes.map((recipe) => (
          <RecipeCard key={recipe.id} recipe={recipe} present={shelf.images.some((image) => image.id === recipe.id)} />
        ))}
      </div>
    </section>
  )
}

function RecipeCard({ recipe, present }: { recipe: Recipe; present: boolean }) {
  const build = useBuildImage()
  const work = useWorkOn(recipe.id)
  return (
    <article className={classes['recipe']}>
      <h3>{recipe.title}</h3>
      <p>{recipe.description}</p>
      <p>
        {work ? (
          <span className={classes['progress']}>{work}</span>
        ) : (
          `Takes about ${formatDuration(recipe.buildSeconds * 1000).replace('.0', '')}`
        )}
      </p>
      {present ? (
        <Here />
      ) : (
        <ActionButton
          size="xs"
          variant="default"
          leftSection={<IconHammer size={14} stroke={1.75} aria-hidden />}
          loading={build.isPending}
          reason={work ? 'It is being made; see tasks.' : null}
          aria-label={`Build ${recipe.title}`}
          onClick={() =>
            build.mutate(recipe.id, { onError: (error) => toastError(`${recipe.title} is not being built`, error) })
          }
        >
          Build
        </ActionButton>
      )}
    </article>
  )
}
