%% The engine of eturnal (Debian's erlang-p1-stun), set up as eturnal sets it up, for benches/run.
%%
%% Arguments: the transport (udp, tcp, tls), the address and the port to listen on, the shared secret, the first and the
%% last relay port, and a file with the certificate and its key. UDP is always served, for the question whether it is ready.
-module(eturnal).
-export([main/0]).

%% In case that whoever started it dies without stopping it.
-define(LIFETIME, 6 * 3600 * 1000).

main() ->
    [Transport, Address, Port, Secret, First, Last, Certificate] = init:get_plain_arguments(),
    {ok, Ip} = inet:parse_ipv4_address(Address),
    {ok, _} = application:ensure_all_started(stun),
    Options = [use_turn,
               {auth_type, user},
               {auth_realm, <<"bench">>},
               {auth_fun, fun(User, _Realm) -> password(Secret, User) end},
               {turn_ipv4_address, Ip},
               {turn_min_port, list_to_integer(First)},
               {turn_max_port, list_to_integer(Last)},
               {turn_max_allocations, infinity},
               {turn_max_permissions, infinity},
               {certfile, Certificate}],
    Served = lists:usort([udp, list_to_atom(Transport)]),
    [ok = listen(Each, Ip, list_to_integer(Port), Options) || Each <- Served],
    timer:sleep(?LIFETIME),
    halt(0).

listen(udp, Ip, Port, Options) ->
    stun_listener:add_listener(Ip, Port, udp, Options);
listen(tcp, Ip, Port, Options) ->
    stun_listener:add_listener(Ip, Port, tcp, [{tls, false} | Options]);
listen(tls, Ip, Port, Options) ->
    stun_listener:add_listener(Ip, Port, tls, [tls | Options]).

%% As a web application issues it: the HMAC of the username.
password(Secret, User) ->
    base64:encode(crypto:mac(hmac, sha, Secret, User)).
