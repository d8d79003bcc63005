package import Hummingbird
import NIOCore

/// What is known of a request beside itself.
package struct FaceContext: RequestContext {
    package var coreContext: CoreRequestContextStorage
    /// The connection that it came by.
    let channel: any Channel

    package init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }
}
