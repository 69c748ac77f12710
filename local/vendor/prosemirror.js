// The editor's library as one file; `local/setup.py` has esbuild bundle it into chalicelib/static/vendor.
export * from "prosemirror-commands";
export * from "prosemirror-dropcursor";
export * from "prosemirror-gapcursor";
export * from "prosemirror-history";
export * from "prosemirror-inputrules";
export * from "prosemirror-keymap";
export * from "prosemirror-model";
export * from "prosemirror-schema-basic";
export * from "prosemirror-schema-list";
export * from "prosemirror-state";
export * from "prosemirror-tables";
export * from "prosemirror-transform";
export * from "prosemirror-view";
