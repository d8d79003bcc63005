import Foundation
import HTTPTypes
package import Hummingbird
import NIOCore

/// Stands before all routes of a server: rejects requests that are not for it, and answers those for which there is
/// no route with what there is.
package struct FaceMiddleware: RouterMiddleware<FaceContext> {
    private let policy: RequestPolicy
    private let routes: RouteList

    package init(policy: RequestPolicy, routes: RouteList) {
        self.policy = policy
        self.routes = routes
    }

    /// Answers a request, by its route where it has one.
    package func handle(
        _ request: Request, context: FaceContext, next: (Request, FaceContext) async throws -> Response
    ) async throws -> Response {
        do throws(RequestPolicy.Rejection) {
            try policy.check(authority: request.head.authority, origin: request.headers[.origin])
        } catch { return Self.failure(error).response }
        do { return try await next(request, context) } catch let error as HTTPError
            where error.status == .notFound && error.body == nil
        { return answerWithoutRoute(request) }
    }

    private static func failure(_ rejection: RequestPolicy.Rejection) -> FaceFailure {
        switch rejection {
        case .host(let name):
            FaceFailure(
                .misdirectedRequest,
                """
                the header Host is \(shortened(name)), which is no name of this server; it takes addresses, localhost, \
                its machine's name and those of --allowed-hosts
                """, headers: [.connection: "close"])
        case .origin(let origin):
            FaceFailure(
                .forbidden, "requests of pages of \(shortened(origin)) are not answered here",
                headers: [.connection: "close"])
        }
    }

    private static func shortened(_ text: String) -> String { String(text.prefix(200)).debugDescription }

    private struct Index: Encodable {
        let server: String
        let version: String
        let routes: [RouteList.Route]
        let documents: String
    }

    private static let documents = "docs/operator.md and docs/physicist.md of beamline, and beamline --help"

    private func answerWithoutRoute(_ request: Request) -> Response {
        let path = request.uri.path
        let methods = routes.methods(at: path)
        if path == "/", request.method == .get {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            let index = Index(
                server: routes.server, version: routes.version, routes: routes.routes, documents: Self.documents)
            return Response(
                status: .ok, headers: [.contentType: "application/json"],
                body: .init(byteBuffer: ByteBuffer(bytes: (try? encoder.encode(index)) ?? Data())))
        }
        let failure =
            methods.isEmpty
            ? FaceFailure(
                .notFound,
                """
                nothing is served at \(Self.shortened(path)): this is \(routes.server), and GET / lists what it \
                serves; see \(Self.documents)
                """)
            : FaceFailure(
                .methodNotAllowed,
                "\(Self.shortened(path)) does not take \(request.method.rawValue.prefix(20)); expected "
                    + methods.joined(separator: ", "), headers: [.allow: methods.joined(separator: ", ")])
        var response = failure.response
        // An answer to HEAD has no body.
        if request.method == .head { response.body = .init() }
        return response
    }
}
