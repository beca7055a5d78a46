/** How Home Assistant finds what is called so: by id, name or alias, whole and without regard to case. */

/** What has names: a floor, an area, an entity. */
interface Named {
  readonly id: string;
  readonly name: string;
  readonly aliases: readonly string[];
}

/** Upper and lower case, composed and decomposed accents, and white space at the ends make no difference. */
export const fold = (text: string): string => text.normalize("NFC").trim().toLowerCase();

/** Those called `name`. */
export function called<T extends Named>(things: readonly T[], name: string): T[] {
  const wanted = fold(name);
  return things.filter(
    ({ id, name, aliases }) => fold(id) === wanted || [name, ...aliases].some((other) => fold(other) === wanted),
  );
}
