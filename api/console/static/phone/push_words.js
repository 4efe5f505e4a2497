// What is said of push.
export const WORDS = {
  push: ["手机推送（额外的提醒）", "Push to this phone (an extra)"],
  push_insecure: ["本页没有走 HTTPS，浏览器不给推送。要用请先装证书。", "This page came without HTTPS, so the browser gives no push. Install the certificate first."],
  push_unsupported: ["这部手机的浏览器没有推送。苹果手机要先“添加到主屏幕”，从主屏幕打开。", "This browser has no push. On an iPhone, add the page to the home screen and open it from there."],
  push_blocked: ["浏览器里关掉了通知。要用请在浏览器的网站设置里允许。", "Notifications are blocked. Allow them in the browser's settings for this site."],
  push_on: ["已开：本页关着时，手机也会提醒。", "On: this phone is told also while the page is closed."],
  push_off: ["没有开：本页关着时，手机不会提醒。", "Off: this phone is told nothing while the page is closed."],
  push_turn_on: ["打开推送", "Turn push on"],
  push_turn_off: ["关闭推送", "Turn push off"],
  push_try: ["试一下", "Try it"],
  push_tried: ["已发出一条测试；几秒内没看到，就是到不了。", "A test was sent. If nothing shows in a few seconds, push does not get through."],
  push_no_service: ["连不上浏览器的推送服务，没有开成。", "The browser's push service cannot be reached. Push stays off."],
  push_not_taken: ["本站不用这个浏览器的推送服务，没有开成。", "This station does not use this browser's push service. Push stays off."],
  push_extra_household: ["只是额外的提醒，可能晚到或不到，不能靠它：听到警号才算数，最好把本页开着。只写报警种类，不写谁家、不写门牌。", "An extra that may come late or never. Do not rely on it: the siren is what counts, and best is to keep this page open. It says the kind of alarm, never whose."],
  push_extra_guard: ["只是额外的提醒，可能晚到或不到，不能靠它：值勤时请把本页开着，听对讲机。", "An extra that may come late or never. Do not rely on it: on duty keep this page open and listen to the radio."],
  push_extra_field: ["只是额外的提醒，可能晚到或不到，不能靠它：值班时请把本页开着，接电话。", "An extra that may come late or never. Do not rely on it: on duty keep this page open and answer the phone."],
};
