import { Component, type ComponentChildren, type JSX } from "preact";

interface BoundaryProps {
  /** What is shown instead of children that cannot be. */
  instead: JSX.Element;
  children: ComponentChildren;
}

/** Keeps what cannot be shown from taking the rest of the page with it. */
export class Boundary extends Component<BoundaryProps, { failed: boolean }> {
  override state = { failed: false };

  static override getDerivedStateFromError(): { failed: boolean } {
    return { failed: true };
  }

  override render({ instead, children }: BoundaryProps): ComponentChildren {
    return this.state.failed ? instead : children;
  }
}
