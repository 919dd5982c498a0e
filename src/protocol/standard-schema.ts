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

/** Says what is wrong with a value, beginning with the field. */
export function describeIssues([issue]: readonly SchemaIssue[]): string {
  const { message, path = [] } = issue ?? { message: "The message does not fit." };
  const field = path.map((segment) => String(typeof segment === "object" ? segment.key : segment));
  return `${field.join(".")}${field.length > 0 ? ": " : ""}${message}`;
}
