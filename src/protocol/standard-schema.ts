/**
 * The part of Standard Schema (version 1, https://standardschema.dev) that checking a message needs.
 * Schemas of zod, valibot, arktype and others are such. The specification allows to copy it.
 */
export interface StandardSchema<Output = unknown> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/** What is wrong with a value, and where in it. */
export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** What messages are once a schema has passed them. */
export type SchemaOutput<S extends StandardSchema> = NonNullable<S["~standard"]["types"]>["output"];

/** An error's sentence grows no longer than this. */
const MAX_LENGTH = 256;

/** Says what is wrong with a value, beginning with the field. */
export function describeIssues([issue]: readonly SchemaIssue[]): string {
  if (issue === undefined) return "The message does not fit.";
  const field = (issue.path ?? [])
    .map((segment) => String(typeof segment === "object" ? segment.key : segment))
    .join(".");
  const text = field === "" ? issue.message : `${field}: ${issue.message}`;
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}…` : text;
}
