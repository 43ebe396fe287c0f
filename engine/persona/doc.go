// Package persona makes the model speak for personas: Mind gives the engine the model's reading and drafting with everything
// cached that does not change, and Index finds example lines by the model's vectors. It must not know stories, storage or
// screens.
package persona
