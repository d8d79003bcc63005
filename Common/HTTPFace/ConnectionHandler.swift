import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// Asks for the client's go-ahead answer, `100 Continue`, before a body is read.
struct ContinueEvent: Sendable {}

/// Asks a connection to close unless it has a request.
struct CloseIfIdleEvent: Sendable {}

/// Keeps one connection within its times, and reports to the gate when it is idle. After an answer with
/// `Connection: close` it closes the connection so that the client can still read that answer: what goes on arriving
/// is dropped for a while.
final class ConnectionHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let gate: ConnectionGate
    private let times: FaceTimes
    private var id: Int?
    private var progress = RequestProgress()
    private var bodyTimer: Scheduled<Void>?
    private var answerTimer: Scheduled<Void>?
    /// The answer that is being sent is the last one.
    private var closesAfterAnswer = false
    /// Nothing is read or written any more.
    private var isLingering = false

    init(gate: ConnectionGate, times: FaceTimes) {
        self.gate = gate
        self.times = times
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        id = gate.enter {
            // Never at once: the channel may be in the middle of its initialisation.
            channel.eventLoop.execute { channel.pipeline.fireUserInboundEventTriggered(CloseIfIdleEvent()) }
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { leave() }

    func channelInactive(context: ChannelHandlerContext) {
        leave()
        context.fireChannelInactive()
    }

    private func leave() {
        bodyTimer?.cancel()
        answerTimer?.cancel()
        if let id { gate.leave(id) }
        id = nil
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isLingering else { return }
        switch unwrapInboundIn(data) {
        case .head:
            if progress.isIdle, let id { gate.busy(id) }
            progress.head(at: .now())
        case .body(let bytes): progress.received(bytes.readableBytes)
        case .end:
            progress.end()
            reportIdle()
        }
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        // The application asks for no more.
        guard !isLingering else { return context.read() }
        watchBody(context)
        context.fireChannelReadComplete()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is CloseIfIdleEvent:
            if progress.isIdle || isLingering { context.close(promise: nil) }
        case ChannelEvent.inputClosed where isLingering: context.close(promise: nil)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    private func reportIdle() {
        if progress.isIdle, let id { gate.idle(id) }
    }

    private func watchBody(_ context: ChannelHandlerContext) {
        guard bodyTimer == nil, let deadline = progress.deadline(times) else { return }
        bodyTimer = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [self] in
            bodyTimer = nil
            guard !isLingering else { return }
            guard let deadline = progress.deadline(times), deadline <= .now() else { return watchBody(context) }
            bodyIsOverdue(context)
        }
    }

    private func bodyIsOverdue(_ context: ChannelHandlerContext) {
        guard progress.unanswered > 0, !progress.isAnswering else { return context.close(promise: nil) }
        let text = FaceFailure.body("the request's body did not arrive in time")
        var head = HTTPResponse(status: .requestTimeout)
        head.headerFields = [
            .contentType: "application/json", .contentLength: "\(text.readableBytes)", .connection: "close",
        ]
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(text)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        linger(context)
    }

    // MARK: Answers

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard !isLingering else { return promise?.fail(ChannelError.ioOnClosedChannel) ?? () }
        switch unwrapOutboundIn(data) {
        case .head(let head):
            if head.status.kind != .informational {
                progress.answerBegins()
                closesAfterAnswer = head.headerFields[.connection]?.lowercased() == "close"
            }
            context.write(data, promise: promise)
        case .body: context.write(data, promise: promise)
        case .end:
            progress.answered(at: .now())
            guard closesAfterAnswer else {
                reportIdle()
                watchBody(context)
                return context.write(data, promise: promise)
            }
            context.writeAndFlush(data, promise: promise)
            linger(context)
        }
    }

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        guard event is ContinueEvent else { return context.triggerUserOutboundEvent(event, promise: promise) }
        guard !isLingering else { return promise?.fail(ChannelError.ioOnClosedChannel) ?? () }
        context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: promise)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        watchAnswer(context)
        context.fireChannelWritabilityChanged()
    }

    /// Closes the connection where the client takes nothing of what waits to be sent.
    private func watchAnswer(_ context: ChannelHandlerContext) {
        guard answerTimer == nil, !context.channel.isWritable else { return }
        let waiting = Self.waitingBytes(context)
        answerTimer = context.eventLoop.assumeIsolated().scheduleTask(in: times.answer) { [self] in
            answerTimer = nil
            guard !context.channel.isWritable else { return }
            if Self.waitingBytes(context) >= waiting {
                context.close(promise: nil)
            } else {
                watchAnswer(context)
            }
        }
    }

    private static func waitingBytes(_ context: ChannelHandlerContext) -> Int {
        (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }

    /// Closes the sending side when all is sent, and the other side when the client has closed it, or after a while.
    private func linger(_ context: ChannelHandlerContext) {
        isLingering = true
        context.close(mode: .output, promise: nil)
        context.eventLoop.assumeIsolated().scheduleTask(in: times.linger) { context.close(promise: nil) }
        context.read()
    }
}
