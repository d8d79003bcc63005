package import Access
import Foundation
import GRPCCore
import HTTPFace
import Hummingbird
import Logging

/// Lets nobody in without a token of the right role; everybody where no tokens are asked for.
package struct AccessGuard: Sendable {
    /// Nil where the coordinator listens on loopback only, and was not configured to ask for tokens.
    let tokens: TokenStore?

    package init(tokens: TokenStore?) { self.tokens = tokens }

    enum Rejection: Error {
        case unknown
        case wrongRole(Role)

        /// gRPC's name for it.
        var code: RPCError.Code {
            switch self {
            case .unknown: .unauthenticated
            case .wrongRole: .permissionDenied
            }
        }

        /// Why, in a sentence for whoever called.
        var sentence: String {
            switch self {
            case .unknown:
                """
                a token is needed: none was given, or it is wrong, revoked or expired; \
                an operator makes one with 'beamline token create'
                """
            case .wrongRole(let role): "the token's role is \(role.rawValue), which does not allow this"
            }
        }
    }

    /// - Parameter authorization: the header's or the metadata's value, `Bearer TOKEN`.
    func check(_ authorization: String?, _ role: Role) throws(Rejection) {
        guard let tokens else { return }
        let words = (authorization ?? "").split(separator: " ")
        guard words.count == 2, words[0].lowercased() == "bearer", let token = tokens.check(String(words[1])) else {
            throw .unknown
        }
        guard token.role.includes(role) else { throw .wrongRole(token.role) }
    }
}

/// Asks those who call a group of routes for a role.
struct RoleMiddleware: RouterMiddleware {
    typealias Context = FaceContext
    let access: AccessGuard
    let role: Role

    func handle(
        _ request: Request, context: FaceContext, next: (Request, FaceContext) async throws -> Response
    ) async throws -> Response {
        do { try access.check(request.headers[.authorization], role) } catch {
            switch error {
            case .unknown:
                var response = RestService.failure(error.sentence, .unauthorized)
                response.headers[.wwwAuthenticate] = "Bearer"
                return response
            case .wrongRole: return RestService.failure(error.sentence, .forbidden)
            }
        }
        return try await next(request, context)
    }
}

/// Asks workers for a token that lets them join, at each call.
struct JoinInterceptor: ServerInterceptor {
    let access: AccessGuard
    let log: Logger

    func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingServerRequest<Input>, context: ServerContext,
        next: @Sendable (StreamingServerRequest<Input>, ServerContext) async throws -> StreamingServerResponse<Output>
    ) async throws -> StreamingServerResponse<Output> {
        do { try access.check(request.metadata[stringValues: "authorization"].first { _ in true }, .worker) } catch {
            log.warning("a call of \(context.remotePeer) is rejected: \(error.sentence)")
            throw RPCError(
                code: error.code, message: error.sentence)
        }
        return try await next(request, context)
    }
}
